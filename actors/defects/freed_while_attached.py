"""The VMM gives a number back as soon as the guest frees it, whatever is attached for it.

Linux does not stop it: iommu_free_global_pasid looks at no slot.  The next VM gets the number; what
it binds to a device that has it still is refused by the slot (EBUSY), and only that.
"""

from typing import Final

from actors.vmm import Vmm
from actors.vmm.state import Do, Task, What
from protocol.names import Pasid

SOURCE: Final = "iommu_free_global_pasid of Linux 7.3; derived: a VMM that trusts its guest"


class FreesWhatIsAttached(Vmm):
    """It believes that the guest has unbound it."""

    __slots__ = ()

    def free_steps(self, task: Task, pasid: Pasid) -> list[Do]:
        """Nobody is told, nothing is detached."""
        self.life(task, pasid).users.clear()
        return [Do(What.LEAVE, "", pasid), Do(What.GIVE_BACK, "", pasid)]


CLASSES: Final[dict[str, type]] = {"vmm": FreesWhatIsAttached}
