"""Unregistering pins the set as if it had one PASID more; letting go destroys a set in use.

The lock has to be dropped to wait for readers, so the set counts one more meanwhile.  If it has no
PASID just then, giving that one back is taken for the last one's reclaim.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.notifiers import block_of
from protocol.effects import Out
from protocol.messages import UnregisterNotifier
from protocol.names import Name

SOURCE: Final = (
    "S23; ioasid_unregister_notifier_mm of drivers/iommu/ioasid.c, Intel data-centre kernel"
)


class PinsTheSetAsAnId(IoasidCore):
    """As V4 destroyed it: a set whose last PASID goes is gone, asked for or not."""

    __slots__ = ()

    def on_unregister_notifier(
        self, unregister: UnregisterNotifier, sender: Name, out: Out
    ) -> None:
        """The count is given back after the block has gone."""
        block = block_of(self, sender, unregister.mm)
        super().on_unregister_notifier(unregister, sender, out)
        ioasids = None if block is None else self.sets.get(block.set)
        if block is not None and ioasids is not None and ioasids.count == 0:
            self.drop_set(block.set, out)


CLASSES: Final[dict[str, type]] = {"core": PinsTheSetAsAnId}
