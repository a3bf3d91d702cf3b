"""What is born while a trace is recorded gets its name then: an address is used again and again.

Address spaces are called after their processes, SVA domains and bonds in the order of creation.  A
bond is there when its attach has succeeded; until then its memory has no name of its own.
"""

import re
from typing import Final

from clusters.conformance.calls import Value
from clusters.conformance.names import Names

PROCESS: Final = re.compile(r"(s\d+p\d+)t\d+")
OWNERS: Final = {"iommu_sva_alloc_pasid": "private", "iommu_sva_bind_device": "mm"}
"""Calls that a process makes for its own address space, and what kind of thing that is called."""
BIND: Final = "iommu_sva_bind_device"
ATTACH: Final = "iommu_attach_device_pasid"
DOMAIN: Final = "domain_alloc_sva"
UNBORN: Final = "bond_failed"


class Births:
    """Names things while a text is read."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._bonds = 0
        self._domains = 0

    def enters(self, call: str, task: str, values: dict[str, int]) -> None:
        """Before the arguments of a call are named."""
        process = PROCESS.fullmatch(task)
        if call in OWNERS and process and "mm" in values:
            self._names.call_it(OWNERS[call], values["mm"], f"mm.{process[1]}")

    def entered(self, call: str, inside: str, args: dict[str, Value]) -> None:
        """They have been named; an attach of a bind brings new memory."""
        if call == ATTACH and inside == BIND:
            args["handle"] = UNBORN

    def left(self, call: str, args: dict[str, Value], handle: int, ret: int | None) -> None:
        """Before the result of a call is named; `handle` is the address that attach was given."""
        if call == ATTACH and args.get("handle") == UNBORN and ret == 0:
            name = args["handle"] = f"bond{self._bonds}"
            self._names.call_it("handle", handle, name)
            self._bonds += 1
        elif call == DOMAIN and ret is not None:
            self._names.call_it("domain", ret, f"svadom{self._domains}")
            self._domains += 1
