"""What a process, its mm, and the files of an accelerator state (native SVA)."""

from protocol.facts.event import Event
from protocol.names import Incarnation, Name, Pasid


class MmPasidAssigned(Event, frozen=True, tag="mm.pasid_assigned"):
    """process: the PASID is the mm's from here on."""

    mm: Name
    pasid: Pasid
    incarnation: Incarnation


class MmNotifierRegistered(Event, frozen=True, tag="mm.notifier_registered"):
    """process: the driver is on the mm's notifier list."""

    mm: Name
    pasid: Pasid
    incarnation: Incarnation


class MmNotifierUnregistered(Event, frozen=True, tag="mm.notifier_unregistered"):
    """process: it is off the list, asked for by unbind."""

    mm: Name
    pasid: Pasid
    incarnation: Incarnation


class PageTablesFreed(Event, frozen=True, tag="mm.page_tables_freed"):
    """process: exit_mmap has freed the CPU page tables of the mm; `pasid` is its own, or 0."""

    mm: Name
    pasid: Pasid
    incarnation: Incarnation


class MmFreed(Event, frozen=True, tag="mm.freed"):
    """process: the last mmdrop; the struct is gone."""

    mm: Name


class ProcessExited(Event, frozen=True, tag="process.exited"):
    """process: do_exit begins; no task of it runs in user mode again."""

    process: Name


class FileHeld(Event, frozen=True, tag="file.held"):
    """door: `holder` has a descriptor of the file that `opener` opened on the device."""

    device: Name
    opener: Name
    holder: Name


class FileDropped(Event, frozen=True, tag="file.dropped"):
    """door: it has not any more."""

    device: Name
    opener: Name
    holder: Name


class FileReleased(Event, frozen=True, tag="file.released"):
    """door: nobody held it; DMA is stopped, the mm unbound, the file gone."""

    device: Name
    opener: Name
