"""A DMA remapping unit: PASID table, PASID cache, IOTLB, invalidation queue and page-request ring.

It is hardware and a witness: it translates through whatever it has, a stale line as readily as a
present entry, and believes no software.  Clearing an entry and its PASID-cache line closes the gate
for new page requests; a drain then takes out what had passed it.

Kernel: drivers/iommu/intel/{pasid,svm,dmar}.c are its user.  §5.1 to §5.3, §5.5.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias

from actors.iommu_unit import invalidation, levels, prq, table
from actors.iommu_unit.state import Entry, Invalidation, Line, Queued, Tag
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.machine import Machine
from protocol.messages import (
    AdvancePrq,
    ClearPresent,
    Done,
    DrainRequests,
    HostLost,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    PageGroupResponse,
    PageRequest,
    RaisePageRequest,
    ReadPrq,
    Refused,
    Start,
    Translate,
    Translation,
    UntranslatedDma,
    WriteEntry,
    ZeroEntry,
)
from protocol.names import Name

Inbox: TypeAlias = (
    Start
    | HostLost
    | WriteEntry
    | ClearPresent
    | ZeroEntry
    | InvalidatePasidCache
    | InvalidateIotlb
    | InvalidateDevTlb
    | DrainRequests
    | Done
    | Translate
    | UntranslatedDma
    | RaisePageRequest
    | ReadPrq
    | AdvancePrq
    | PageGroupResponse
    | levels.Inbox
)


@dataclass(slots=True)
class IommuUnit:
    """Only an invalidation removes a line; the head of `queue` waits for its device.

    `has_ats` has the devices behind the unit; `ppr` is the pending-page-request bit, `pds` says
    that a drain waits for page requests.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    name: Name
    has_ats: dict[Name, bool]
    ring_size: int
    pds: bool
    lost: list[Name] = field(default_factory=list)
    entries: dict[Tag, Entry] = field(default_factory=dict)
    pasid_cache: dict[Tag, Line] = field(default_factory=dict)
    iotlb: dict[Tag, dict[int, Line]] = field(default_factory=dict)
    queue: list[Queued] = field(default_factory=list)
    ring: list[PageRequest] = field(default_factory=list)
    ppr: bool = False
    overflow: bool = False

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """An empty unit, with the devices that the machine puts behind it."""
        spec = next(unit for unit in machine.units if unit.name == name)
        has_ats = {d.name: d.ats for d in machine.devices if d.unit == name}
        return cls(name, has_ats, spec.prq, spec.pds)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The unit's table of contents."""
        match message:
            case Done():
                self.on_done(sender, out)
            case Translate():
                self.on_translate(message, sender, out)
            case DrainRequests() | InvalidateDevTlb() | InvalidatePasidCache() | InvalidateIotlb():
                self.on_invalidation(message, sender, out)
            case ReadPrq():
                self.on_read_prq(message, sender, out)
            case WriteEntry():
                self.on_write_entry(message, sender, out)
            case ClearPresent():
                self.on_clear_present(message, sender, out)
            case ZeroEntry():
                self.on_zero_entry(message, sender, out)
            case RaisePageRequest():
                self.on_raise_page_request(message, sender, out)
            case AdvancePrq():
                self.on_advance_prq(message, sender, out)
            case PageGroupResponse():
                self.on_page_group_response(message, out)
            case UntranslatedDma():
                self.on_untranslated_dma(message, sender, out)
            case Start():
                pass  # Hardware is there before any software.
            case HostLost():
                self.on_host_lost(message, out)
            case _:
                self.on_level(message, sender, out)

    def on_level(self, message: levels.Inbox, driver: Name, out: Out) -> None:
        """What only the driver of a modern kernel says."""
        levels.on_message(self, message, driver, out)

    def on_host_lost(self, lost: HostLost, out: Out) -> None:
        """A device that is gone completes nothing: what waits for it times out."""
        if lost.name not in self.has_ats:
            return  # No other loss changes what the hardware does.
        self.lost = sorted([*self.lost, lost.name])
        invalidation.device_completed(self, lost.name, out)

    def on_write_entry(self, write: WriteEntry, driver: Name, out: Out) -> None:
        """An entry never changes while it is present (N12)."""
        if self.is_present((write.device, write.pasid)):
            out.send(driver, Refused(write.call, Errno.EBUSY))
            return
        table.write(self, write, out)
        out.send(driver, Done(write.call))

    def on_clear_present(self, clear: ClearPresent, driver: Name, out: Out) -> None:
        """Only P goes; caches keep what they have until they are flushed."""
        table.clear_present(self, clear, driver, out)

    def on_zero_entry(self, zero: ZeroEntry, driver: Name, out: Out) -> None:
        """The contents go, for an entry whose P is clear with all that is left of it."""
        table.zero(self, zero, out)
        out.send(driver, Done(zero.call))

    def on_invalidation(self, message: Invalidation, driver: Name, out: Out) -> None:
        """Invalidations run in order, one at a time."""
        invalidation.submit(self, message, driver, out)

    def on_done(self, device: Name, out: Out) -> None:
        """The device has flushed its TLB, and what it sent before has arrived."""
        invalidation.device_completed(self, device, out)

    def on_translate(self, request: Translate, device: Name, out: Out) -> None:
        """A translation request finds no permission, not a fault: the device may then ask."""
        line = table.translate(self, request, device, out)
        out.send(device, table.translated(request, line, Translation.NONE))

    def on_untranslated_dma(self, request: UntranslatedDma, device: Name, out: Out) -> None:
        """An access that cannot be translated is blocked: nobody could ask for its page."""
        line = table.translate(self, request, device, out)
        out.send(device, table.translated(request, line, Translation.UR))

    def on_raise_page_request(self, request: RaisePageRequest, device: Name, out: Out) -> None:
        """A request reaches the ring only past a present entry, and only if there is room."""
        prq.receive(self, request, device, out)

    def on_read_prq(self, read: ReadPrq, driver: Name, out: Out) -> None:
        """Software sees the ring as it is now."""
        prq.read(self, read, driver, out)

    def on_advance_prq(self, advance: AdvancePrq, driver: Name, out: Out) -> None:
        """Head moves past what software has dealt with."""
        prq.advance(self, advance, driver, out)

    def on_page_group_response(self, response: PageGroupResponse, out: Out) -> None:
        """Forwarded in order: it arrives before any later device-TLB invalidation."""
        if self.reaches(response.device):
            out.send(response.device, response)

    def is_present(self, tag: Tag) -> bool:
        """Whether the table, not a cache, has P set."""
        entry = self.entries.get(tag)
        return entry is not None and entry.present

    def look_up(self, tag: Tag, out: Out) -> Line | None:
        """What the unit takes for the entry of this tag: a stale line is as good as an entry."""
        return table.look_up(self, tag, out)

    def reaches(self, device: Name) -> bool:
        """Whether the device is behind this unit and still there."""
        return device in self.has_ats and device not in self.lost
