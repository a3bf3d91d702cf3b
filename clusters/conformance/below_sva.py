"""The calls of the IOMMU core in a trace of SVA: those that others made, and those of SVA itself.

SVA domains come into being meanwhile, of the IOMMU whose device they were made for.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from clusters.conformance.attach import AttachCalls
from clusters.conformance.births import UNBORN
from clusters.conformance.calls import Call
from clusters.conformance.machine import TraceDomain, TraceMachine
from protocol.domains import SVA

MADE: Final = "domain_alloc_sva"


class AttachBelowSva(AttachCalls):
    """The vocabulary, with the domains that the trace makes."""

    def __init__(self, machine: TraceMachine, calls: Sequence[Call]) -> None:
        units = {one.name: one.unit for one in machine.device}
        made = {
            str(call.ret): TraceDomain(str(call.ret), SVA, units.get(str(call.args.get("dev")), ""))
            for call in calls
            if call.call == MADE and call.ret is not None
        }
        every = replace(machine, domain=(*machine.domain, *made.values()))
        super().__init__(every, self.own(calls))

    @classmethod
    def own(cls, calls: Iterable[Call]) -> list[Call]:
        """Each stands alone, with what the driver was called for.

        Memory of a bond that comes to nothing is another each time.
        """
        kept: dict[int, Call] = {}
        for call in calls:
            if call.call in cls.calls:
                args = call.args
                if args.get("handle") == UNBORN:
                    args = {**args, "handle": f"{UNBORN}.{call.n}"}
                kept[call.n] = replace(call, parent=None, args=args)
            elif call.parent in kept:
                kept[call.n] = call
        return list(kept.values())
