"""The FREE handler tests its svm for NULL and follows it; it tests for an error after that.

The handler looks the svm up by the PASID itself.  By then the number may be reclaimed: whoever else
held it has put.  The look-up answers with an error in the place of a pointer, which is not NULL.

Kernel: pasid_status_change of drivers/iommu/intel-svm.c, v1 10/10, 25 Mar 2020.  From v2 on the
payload has the pointer, so that nothing has to be looked up.
"""

from dataclasses import dataclass, field
from typing import Final

from actors.iommu_driver import Inbox, IommuDriver
from actors.iommu_driver.free import answer_notification, notification_begins
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import Registration
from actors.iommu_driver.svm import look_up
from protocol.effects import Out
from protocol.facts import MemoryUsed
from protocol.messages import FindPasid, FindPasidGot, NotifyFree, Refused, Verdict
from protocol.names import CORE, NO_SET, Call, Name

SOURCE: Final = "S1; K. Tian on v1 10/10 of the IOASID extensions, 27 Mar 2020"


@dataclass(slots=True)
class DereferencesAnError(IommuDriver):
    """`IS_ERR` comes after `svm->iommu`.  `looking`: whose handler waits for which look-up."""

    looking: dict[Call, NotifyFree] = field(default_factory=dict)

    def on_notify_free(self, free: NotifyFree, core: Name, out: Out) -> None:
        """v1's chain may sleep, so its handler can wait for a look-up."""
        notification_begins(free, "FREE", out)
        call = smallest_free(self.tasks)
        insert(self.tasks, call, Registration(call))  # The number is taken.
        insert(self.looking, call, free)
        out.send(core, FindPasid(call, NO_SET, free.pasid))

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """Answers to a look-up, and all that the sound driver handles."""
        if isinstance(message, FindPasidGot | Refused) and message.call in self.looking:
            del self.tasks[message.call]
            self.svm_found(self.looking.pop(message.call), message, out)
        else:
            super(DereferencesAnError, self).handle(message, sender, out)

    def svm_found(self, free: NotifyFree, found: FindPasidGot | Refused, out: Out) -> None:
        """The second half of the handler."""
        if isinstance(found, Refused):
            # Not NULL, so its iommu is read; the test that refuses it comes next.
            out.record(MemoryUsed("svm", f"ERR_PTR(-{found.errno.value})"))
            answer_notification(free, "FREE", Verdict.BAD, CORE, out)
            return
        svm = look_up(self, free.pasid, out)
        if svm is not None:
            self.queue_work(svm, out)
        verdict = Verdict.DONE if svm is None else Verdict.OK
        answer_notification(free, "FREE", verdict, CORE, out)


CLASSES: Final[dict[str, type]] = {"iommu": DereferencesAnError}
