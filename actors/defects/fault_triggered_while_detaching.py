"""A mock device asks for a page while its page table is being taken away.

No hardware is there that could be blocked and drained: the request has found its handle, which is
freed before the context gets it.

Selftests until 2026, CVE-2026-89445.
"""

from typing import Final

from actors.iommufd import Iommufd
from actors.iommufd.state import Task
from protocol.effects import Out

SOURCE: Final = "8c07df7cdfcf, iommufd/selftest: Fix IOPF UAF; modern bug 62"


class TriggersWhenever(Iommufd):
    """No lock."""

    __slots__ = ()

    def lock_trigger(self, _task: Task, _out: Out) -> bool:
        """Whatever happens to the device."""
        return True


CLASSES: Final[dict[str, type]] = {"iommufd": TriggersWhenever}
