"""An entry is zeroed word by word while it is present, and the hardware reads a mixture.

An entry has 64 bytes and hardware may fetch it in several goes.  If the words are zeroed before P
is seen to be clear, a fetch finds P of the old entry and tables of none.  The sound order takes P
alone, flushes, and zeroes what nothing can reach any more.

All versions until early 2026.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation, Step
from protocol.effects import Out

SOURCE: Final = "S46; CVE-2026-45894, published 27 May 2026"


class ZeroesWhatIsPresent(IommuDriver):
    """The writes of one teardown are two steps, and a reader may come between them."""

    __slots__ = ()

    def clear_present(self, task: Operation, out: Out) -> None:
        """The words behind P go first."""
        super().zero_entry(task, out)

    def zero_entry(self, task: Operation, out: Out) -> None:
        """That is done already."""
        self.begin_drain(task, out)

    def teardown_goes_on(self, task: Operation, out: Out) -> None:
        """P goes last."""
        if task.step is Step.ZERO_ENTRY:
            super().clear_present(task, out)
        else:
            super().teardown_goes_on(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": ZeroesWhatIsPresent}
