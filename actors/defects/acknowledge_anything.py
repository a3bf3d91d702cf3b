"""No drain: page requests left over are acknowledged, against whatever is bound by then.

One of two policies.  DRAIN is the sound one.  Here nothing is fenced and nothing waits for the PRQ
thread; what is left over is answered SUCCESS, and the device asks again, as it would anyhow.  That
holds as long as the device asks *for the life that it runs for*: DMA is stopped first, so N1 is
kept.  What it gives up is N2, since a request may reach the number's next owner and fault in a page
of his, and with it the rule that a number comes back only when nothing of it is on its way (R5).

J. Gunthorpe and B. Lu argued for it in Dec 2023 where the translation changes, not where the number
does; A. Raj had held in Oct 2020 that a number is never used again without a drain.
"""

from typing import Final

from msgspec.structs import replace

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation
from actors.vdcm import Vdcm
from actors.vdcm.state import Slot
from protocol.effects import Out
from protocol.messages import PageGroupResponse, ResponseCode
from protocol.names import Incarnation, Name

SOURCE: Final = "S51; J. Gunthorpe to B. Lu, 3 Dec 2023; A. Raj to J.-P. Brucker, 15 Oct 2020"


class Acknowledges(IommuDriver):
    """The device re-issues what it still wants."""

    __slots__ = ()

    def begin_drain(self, task: Operation, out: Out) -> None:
        """What was reported and not answered is acknowledged; nothing is waited for."""
        self.answer_pending(task, out)

    def drain_requests(self, task: Operation, out: Out) -> None:
        """No fence: only the old domain would need it, and that is kept elsewhere."""
        self.torn_down(task, out)

    def answer_group(
        self, unit: Name, response: PageGroupResponse, answerer: Incarnation, out: Out
    ) -> None:
        """Nobody bound, or unbound meanwhile: SUCCESS, and the device finds out by itself."""
        if not answerer:
            response = replace(response, code=ResponseCode.SUCCESS)
        super().answer_group(unit, response, answerer, out)


class StopsAndPuts(Vdcm):
    """The VDCM stops DMA, and leaves page requests to the policy."""

    __slots__ = ()

    def must_settle(self, _slot: Slot) -> bool:
        """What an aborted descriptor has asked for will be acknowledged."""
        return False


CLASSES: Final[dict[str, type]] = {"iommu": Acknowledges, "vdcm": StopsAndPuts}
