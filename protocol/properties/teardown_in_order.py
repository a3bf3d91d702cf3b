"""O2, O3, O4: what is flushed too early is filled again from what is still behind it (S20, S46)."""

from typing import ClassVar, Final, TypeAlias

from protocol.facts import (
    CacheFlushed,
    DeviceTornDown,
    DeviceUnbound,
    EntryCleared,
    EntryWritten,
    Event,
    FlushRequested,
    HostGone,
    RequestsDrained,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import IOMMU, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when

BEFORE: Final = {
    "pasid-cache": ("",),
    "iotlb": ("pasid-cache",),
    "device-tlb": ("iotlb",),
    "drain": ("device-tlb", "drained", "overflow"),
}
"""What each flush comes after ("" the entry alone); a drain that met an overflow is repeated."""

Teardown: TypeAlias = tuple[str, Name, int]
"""How far it is: the last flush, and the input in which it was complete (0: it is not).

A drain has its device flush first, and is `drained` then, or met an `overflow`.
"""


class TeardownInOrder:
    """Entry, PASID cache, IOTLB, device TLB, drain: each begins when the one before is complete.

    The drain is complete when its own flushes are, and the ring did not overflow meanwhile; only
    then the svm_dev may go.  Without an entry nothing can be cached, and there is no order (§4.3).
    That DMA has stopped before (O3) is a rule after FREE only, and `descriptors-ended` has it.
    """

    name: ClassVar[str] = "teardown-in-order"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O2, O3, O4"
    source: ClassVar[str] = "Linux 5.15 intel/{pasid,svm}.c; VT-d specification 5.10, 6.5.2, 7.10"
    observes: ClassVar[tuple[type[Event], ...]] = (
        EntryWritten,
        EntryCleared,
        DeviceUnbound,
        FlushRequested,
        CacheFlushed,
        RequestsDrained,
        DeviceTornDown,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.devices = {one.name: (one.unit, one.ats) for one in machine.devices}
        """What is known of each device that is still there."""
        self.present: dict[tuple[Name, Pasid], None] = {}
        self.cleared: dict[tuple[Name, Pasid], Teardown] = {}
        """Teardowns under way whose entry has been cleared."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is CacheFlushed:
            teardown = self.cleared.get((fact.device, fact.pasid))
            if teardown is not None and teardown[2] == 0:
                asked = "device-tlb" if teardown[0] == "drain" else teardown[0]
                if asked == fact.cache:  # Or the VDCM flushes, too.
                    done = (teardown[0], record.stamp.actor, record.stamp.n)
                    self.cleared[fact.device, fact.pasid] = done
        elif type(fact) is FlushRequested:
            return self._asked(record, fact)
        elif type(fact) is EntryWritten:
            if self._is_right(fact.device, fact.unit):
                self.present[fact.device, fact.pasid] = None
        elif type(fact) is EntryCleared:
            if self._is_right(fact.device, fact.unit):
                self.present.pop((fact.device, fact.pasid), None)
                stamp = record.stamp
                self.cleared[fact.device, fact.pasid] = ("", stamp.actor, stamp.n)
        elif type(fact) is DeviceUnbound:
            self.cleared.pop((fact.device, fact.pasid), None)
        elif type(fact) is RequestsDrained:
            return self._drained(record, fact)
        elif type(fact) is DeviceTornDown:
            return self._torn_down(record, fact)
        elif type(fact) is HostGone:
            self.devices.pop(record.stamp.actor, None)  # It completes nothing any more.
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _is_right(self, device: Name, unit: Name) -> bool:
        """Whether the device is there, behind that unit; if not, N20 says so."""
        known = self.devices.get(device)
        return known is not None and known[0] == unit

    def _asked(self, record: Record, fact: FlushRequested) -> str | None:
        if not self._is_right(fact.device, fact.unit):
            return None
        key = (fact.device, fact.pasid)
        wrong = f"the entry is present for the {fact.flush} flush"
        if key not in self.present:
            teardown = self.cleared.get(key)
            if teardown is None:
                return None
            self.cleared[key] = (fact.flush, *self._at_once(record, fact))
            last, actor, n = teardown
            before = BEFORE[fact.flush]
            if last in before and n and record.saw(actor, n):
                return None
            wrong = f"the {fact.flush} flush does not wait for the {before[0] or 'entry'}"
        return self._said(record, fact, wrong)

    def _at_once(self, record: Record, fact: FlushRequested) -> tuple[Name, int]:
        """A flush of a device TLB that is not there is complete when it is asked for."""
        has_ats = self.devices[fact.device][1]
        at_once = fact.flush == "device-tlb" and not has_ats
        return (record.stamp.actor, record.stamp.n if at_once else 0)

    def _drained(self, record: Record, fact: RequestsDrained) -> str | None:
        key = (fact.device, fact.pasid)
        teardown = self.cleared.get(key)
        if fact.by != IOMMU or teardown is None or teardown[0] != "drain":
            return None  # The VDCM's, of what was never bound.
        if fact.device not in self.devices:
            return None
        stamp = record.stamp
        came_to = "overflow" if fact.overflow else "drained"
        self.cleared[key] = (came_to, stamp.actor, stamp.n)
        _, actor, n = teardown
        if (n and record.saw(actor, n)) or not self.devices[fact.device][1]:
            return None
        return self._said(record, fact, "the drain is complete before the device TLB is flushed")

    def _torn_down(self, record: Record, fact: DeviceTornDown) -> str | None:
        teardown = self.cleared.pop((fact.device, fact.pasid), None)
        known = self.devices.get(fact.device)
        if teardown is None or known is None:
            return None
        last, actor, n = teardown
        if last == "overflow":
            return self._said(record, fact, "it is not drained again after an overflow")
        if last != "drain" and n and record.saw(actor, n):
            return None  # A flush that was not asked for at all is N20's affair.
        return self._said(record, fact, f"its teardown does not wait for the {last or 'entry'}")

    def _said(
        self, record: Record, fact: FlushRequested | RequestsDrained | DeviceTornDown, wrong: str
    ) -> str:
        life = named(fact.pasid, fact.incarnation)
        return f"{life} on {fact.device}: {wrong}, at {when(record.stamp)}"
