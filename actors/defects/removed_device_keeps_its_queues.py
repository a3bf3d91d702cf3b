"""A device is removed, and the queues that are open on it are left to their processes.

They stay bound to a device that is no more, and can be used through operations that are freed.
"""

from typing import Final

from actors.accelerators.uacce import SvaUacce
from protocol.effects import Out
from protocol.facts.accelerators import DeviceForgotten

SOURCE: Final = "uacce: Handle parent device removal, 80fc671bcc01; 26c08dabe547, CVE-2026-23063"


class LeavesQueues(SvaUacce):
    """Removal frees what is the device's, and looks at no queue."""

    __slots__ = ()

    def remove(self, out: Out) -> None:
        """At once."""
        self.removed = True
        out.record(DeviceForgotten(self.device))
        self.end(out)


CLASSES: Final[dict[str, type]] = {"sva_uacce": LeavesQueues}
