"""Which properties a history can break at all: whose facts somebody on the machine can state.

The others would hold whatever happens.  They are left out, so that "holds" is said of what was put
to the test, and nobody waits for them.
"""

from functools import lru_cache
from typing import Final

from protocol.facts import amnesia, core
from protocol.machine import IOMMUFD, Machine
from protocol.properties.damage_confined_to_the_vm import DamageConfinedToTheVm
from protocol.properties.driver_done_before_reclaim import DriverDoneBeforeReclaim
from protocol.properties.exited_processes_leave_nothing import ExitedProcessesLeaveNothing
from protocol.properties.exited_vms_leave_nothing import ExitedVmsLeaveNothing
from protocol.properties.freed_before_reclaim import FreedBeforeReclaim
from protocol.properties.freed_pasids_are_reclaimed import FreedPasidsAreReclaimed
from protocol.properties.hardware_off_before_page_tables import HardwareOffBeforePageTables
from protocol.properties.numbers_in_use_are_unique import NumbersInUseAreUnique
from protocol.properties.one_bind_per_device import OneBindPerDevice
from protocol.properties.one_pasid_for_an_mm import OnePasidForAnMm
from protocol.properties.only_the_owner_acts import OnlyTheOwnerActs
from protocol.properties.page_requests_end import PageRequestsEnd
from protocol.properties.property import Property
from protocol.properties.registered_before_the_first_pasid import RegisteredBeforeTheFirstPasid
from protocol.properties.translations_cleared_before_reclaim import (
    TranslationsClearedBeforeReclaim,
)
from protocol.properties.unbind_of_an_mm_in_order import UnbindOfAnMmInOrder
from protocol.properties.vcpus_kept_out_while_cleared import VcpusKeptOutWhileCleared
from protocol.properties.vfio_keeps_what_is_attached import VfioKeepsWhatIsAttached

TOPICS: Final = (
    *("iommu_core", "sva", "iommufd", "intel_iommu", "iopf", "accelerators", "vfio_cdev"),
    "guests",
)
MODERN: Final = tuple(f"protocol.facts.{topic}" for topic in TOPICS)
"""Modules whose facts only the actors of a modern kernel state."""
OLD: Final = (core.__name__, amnesia.__name__)
"""Modules whose facts are of the IOASID core, or of those who ask it."""
OF_PROCESSES: Final[tuple[type[Property], ...]] = (
    OnePasidForAnMm,
    UnbindOfAnMmInOrder,
    HardwareOffBeforePageTables,
    ExitedProcessesLeaveNothing,
)
"""Of an IOASID core's machine: broken only where the host has processes of its own."""
OF_GUESTS: Final[tuple[type[Property], ...]] = (
    TranslationsClearedBeforeReclaim,
    DriverDoneBeforeReclaim,
    FreedBeforeReclaim,
    NumbersInUseAreUnique,
    OnlyTheOwnerActs,
    OneBindPerDevice,
    DamageConfinedToTheVm,
    VcpusKeptOutWhileCleared,
    RegisteredBeforeTheFirstPasid,
    FreedPasidsAreReclaimed,
    PageRequestsEnd,
    ExitedVmsLeaveNothing,
)
"""Of both decades, though the IOASID core's facts are in them: whoever gives a VM its PASIDs states
those.  All others that observe them speak of that core alone: sets, references, notifications."""


def concerns(judged: type[Property], machine: Machine) -> bool:
    """Whether some history of the machine could break it, or show what it is a witness of."""
    if judged is VfioKeepsWhatIsAttached and not machine.has_vfio:
        return False
    return _concerns(judged, machine.stack, (bool(machine.processes), bool(machine.vms)))


@lru_cache(maxsize=1024)
def _concerns(judged: type[Property], stack: str, there: tuple[bool, bool]) -> bool:
    processes, vms = there
    modern = any(fact.__module__ in MODERN for fact in judged.observes)
    old = any(fact.__module__ in OLD for fact in judged.observes)
    if stack == IOMMUFD:
        return modern or not old or (vms and judged in OF_GUESTS)
    return (old or not modern) and (processes or judged not in OF_PROCESSES)
