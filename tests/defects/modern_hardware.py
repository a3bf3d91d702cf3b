"""Mistakes of the VT-d driver of the modern stack, each where it breaks one rule alone."""

from typing import Final

from actors.defects.dead_mm_attached_again import SetsUpTheDead
from actors.defects.device_tlb_tag_left import SwitchesAtsOffFirst
from actors.defects.fault_reference_dropped_before_tear_down import DropsBeforeItTearsDown
from actors.defects.first_level_flushed_by_domain import FlushesByDomain
from actors.defects.release_beside_a_report import ReportsUnlocked
from actors.defects.silenced_entry_left import LeavesTheSilencedEntry
from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Do, Task, What
from clusters.cluster import ActorClass, Role
from protocol.effects import Out
from protocol.names import Name
from tests.defects.stages import Stage


class WritesNothing(IntelIommu):
    """I05.  The books are enough."""

    __slots__ = ()

    def write_entry(self, task: Task, name: Name, out: Out) -> bool:
        return True


class ZeroesBeforeTheLastFlush(IntelIommu):
    """I17.  The device's TLB is not ours."""

    __slots__ = ()

    def teardown_steps(self, task: Task) -> list[Do]:
        steps = [do for do in super().teardown_steps(task) if do.what is not What.DEV_TLB]
        at = 1 + steps.index(Do(What.ZERO))
        return [*steps[:at], Do(What.DEV_TLB), *steps[at:]]


class NeverDrops(IntelIommu):
    """I23.  Who has had page faults may have them again."""

    __slots__ = ()

    def iopf_put(self, task: Task, name: Name, out: Out) -> bool:
        return True


class LooksAtNoRing(IntelIommu):
    """I26.  The PRQ thread will see to it."""

    __slots__ = ()

    def scan_ring(self, task: Task, out: Out) -> bool:
        return True


def callers(*steps: str, device: str = "", schedules: int = 10) -> Stage:
    """A thread of the kernel that is an mm of its own, one device, and a paging domain."""
    tables = [
        f'title = "{steps[-1]}"\nstack = "iommufd"\n[[machine.unit]]\nname = "dmar0"',
        f'[[machine.device]]\nname = "d1"\nunit = "dmar0"\npasids = 16\n{device}',
        '[[machine.domain]]\nname = "paging"\nunit = "dmar0"',
        f'[callers]\ncount = 1\n[[process]]\nname = "caller1"\nsteps = {list(steps)}',
    ]
    return Stage("\n".join(tables), schedules)


ATTACHED: Final = (
    "p = alloc_global_pasid device=d1",
    "s = domain_alloc_sva device=d1 mm=caller1",
    "attach_device_pasid device=d1 pasid=$p domain=$s handle=h1",
)
DETACHED: Final = "detach_device_pasid device=d1 pasid=$p domain=$s"
RELEASED: Final = "release_mm domain=$s"
ENABLED: Final = "enable_wq at=d1 vm=caller1 mode=shared pasid=0"


def submitted(pasid: str, *, mapped: bool) -> str:
    """A descriptor for a page that is there, or is not."""
    more = f"tag=1 page=3 mapped={str(mapped).lower()}"
    return f"enqcmd_write at=d1 vm=caller1 pasid={pasid} {more}"


HARDWARE: Final[tuple[tuple[str, Stage, dict[Role, ActorClass]], ...]] = (
    ("attached-domains-are-in-hardware", callers(*ATTACHED), {"intel_iommu": WritesNothing}),
    (
        "entries-zeroed-when-flushed",
        callers(*ATTACHED, DETACHED),
        {"intel_iommu": ZeroesBeforeTheLastFlush},
    ),
    (
        "released-address-spaces-unreachable",
        callers(*ATTACHED, "reset_prepare device=d1", RELEASED, "reset_done device=d1"),
        {"intel_iommu": SetsUpTheDead},
    ),
    (
        "released-entries-end-drained",
        callers(*ATTACHED, RELEASED, DETACHED, device="pri = false"),
        {"intel_iommu": LeavesTheSilencedEntry},
    ),
    ("fault-references-add-up", callers(*ATTACHED, DETACHED), {"intel_iommu": NeverDrops}),
    (
        "devices-leave-the-fault-queue-drained",
        callers(*ATTACHED, DETACHED),
        {"intel_iommu": DropsBeforeItTearsDown},
    ),
    (
        "drains-leave-an-empty-ring",
        callers(
            ENABLED,
            "attach_device_pasid device=d1 pasid=5 domain=paging handle=h1",
            submitted("5", mapped=False),
            "detach_device_pasid device=d1 pasid=5 domain=paging",
            schedules=40,
        ),
        {"intel_iommu": LooksAtNoRing},
    ),
    (
        "no-report-of-a-released-device",
        callers(
            ENABLED,
            "attach_device_pasid device=d1 pasid=5 domain=paging handle=h1",
            submitted("5", mapped=False),
            "flush_iopf_device device=d1 -> any(ok, ENODEV)",
            "flush_iopf_device device=d1 -> any(ok, ENODEV)",
            "unplug_device device=d1",
            schedules=20,
        ),
        {"intel_iommu": ReportsUnlocked},
    ),
    (
        "flushes-reach-every-cache",
        callers(
            ENABLED,
            *ATTACHED,
            submitted("$p", mapped=True),
            "drain_pasid at=d1 pasid=$p",
            "invalidate_secondary_tlbs domain=$s page=0",
        ),
        {"intel_iommu": FlushesByDomain},
    ),
    (
        "cache-tags-follow-attachments",
        callers(*ATTACHED, DETACHED),
        {"intel_iommu": SwitchesAtsOffFirst},
    ),
)
"""A rule, where it is broken, and by whom."""
