"""UNBIND of what KVM has no entry for keeps the vCPUs out, and nobody lets them in.

The handler raises the block before it looks at the entry, and its error exit does not lift it: the
VM hangs until some later BIND happens to clear the request.  An UNBIND after FREE is enough.
"""

from typing import Final

from actors.kvm import Kvm
from protocol.effects import Out
from protocol.messages import NotifyUnbind

SOURCE: Final = "S22; DCP arch/x86/kvm/vmx/vmx.c @03618be7409b, read for its error exits"


class LeavesTheBlockUp(Kvm):
    """O12 says lift last, and always."""

    __slots__ = ()

    def on_notify_unbind(self, unbind: NotifyUnbind, out: Out) -> None:
        """First the block, then the look."""
        entry = self.table.get(unbind.spid)
        if entry is None or entry.pasid != unbind.pasid:
            self.block(out)
        super().on_notify_unbind(unbind, out)


CLASSES: Final[dict[str, type]] = {"kvm": LeavesTheBlockUp}
