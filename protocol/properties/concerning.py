"""Which properties a history can break at all: whose facts somebody on the machine can state.

The others would hold whatever happens.  They are left out, so that "holds" is said of what was put
to the test, and nobody waits for them.
"""

from functools import lru_cache
from typing import Final

from protocol.facts import core
from protocol.machine import IOMMUFD, Machine
from protocol.properties.exited_processes_leave_nothing import ExitedProcessesLeaveNothing
from protocol.properties.hardware_off_before_page_tables import HardwareOffBeforePageTables
from protocol.properties.one_pasid_for_an_mm import OnePasidForAnMm
from protocol.properties.property import Property
from protocol.properties.unbind_of_an_mm_in_order import UnbindOfAnMmInOrder
from protocol.properties.vfio_keeps_what_is_attached import VfioKeepsWhatIsAttached

TOPICS: Final = (
    *("iommu_core", "sva", "iommufd", "intel_iommu", "iopf", "accelerators", "vfio_cdev"),
)
MODERN: Final = tuple(f"protocol.facts.{topic}" for topic in TOPICS)
"""Modules whose facts only the actors of a modern kernel state."""
OF_PROCESSES: Final[tuple[type[Property], ...]] = (
    OnePasidForAnMm,
    UnbindOfAnMmInOrder,
    HardwareOffBeforePageTables,
    ExitedProcessesLeaveNothing,
)
"""Of an IOASID core's machine: broken only where the host has processes of its own."""


def concerns(judged: type[Property], machine: Machine) -> bool:
    """Whether some history of the machine could break it, or show what it is a witness of."""
    if judged is VfioKeepsWhatIsAttached and not machine.has_vfio:
        return False
    return _concerns(judged, machine.stack, bool(machine.processes))


@lru_cache(maxsize=1024)
def _concerns(judged: type[Property], stack: str, processes: bool) -> bool:  # noqa: FBT001
    modern = any(fact.__module__ in MODERN for fact in judged.observes)
    old = any(fact.__module__ == core.__name__ for fact in judged.observes)
    if stack == IOMMUFD:
        return modern or not old
    return (old or not modern) and (processes or judged not in OF_PROCESSES)
