"""I35: what VFIO has lost sight of stays attached when its file is closed."""

from typing import ClassVar, Final

from protocol.domains import NO_PASID
from protocol.facts import Event
from protocol.facts.iommufd import PtAttached, PtDetached
from protocol.facts.vfio_cdev import AttachmentsKept
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, when

OF_ONE: Final = ("attach", "detach")


class VfioKeepsWhatIsAttached:
    """VFIO has what is attached through a device; a call changes what it names, nothing else."""

    name: ClassVar[str] = "vfio-keeps-what-is-attached"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I35"
    source: ClassVar[str] = "drivers/vfio/iommufd.c of Linux 7.3, vdev->pasids"
    observes: ClassVar[tuple[type[Event], ...]] = (PtAttached, PtDetached, AttachmentsKept)

    def __init__(self, machine: Machine) -> None:
        self.has: dict[Name, dict[Pasid, None]] = {}
        """By device, what is attached through it; PASID 0 is DMA without one."""
        self.had: dict[Name, dict[Pasid, None]] = {}
        """As VFIO has let go of its lock last."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PtAttached:
            self.has.setdefault(fact.device, {})[fact.pasid] = None
        elif type(fact) is PtDetached:
            self.has.get(fact.device, {}).pop(fact.pasid, None)
        elif type(fact) is AttachmentsKept:
            has, had = self.has.get(fact.device, {}), self.had.get(fact.device, {})
            self.had[fact.device] = dict(has)
            return self._kept(record, fact, has) or self._changed(record, fact, has, had)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _kept(self, record: Record, fact: AttachmentsKept, has: dict[Pasid, None]) -> str | None:
        kept = sorted({*fact.pasids, *((NO_PASID,) if fact.attached else ())})
        if kept == sorted(has):
            return None
        return (
            f"after {fact.call} of {fact.device} at {when(record.stamp)} VFIO has {_said(kept)} of "
            f"it, and iommufd {_said(sorted(has))}"
        )

    def _changed(
        self,
        record: Record,
        fact: AttachmentsKept,
        has: dict[Pasid, None],
        had: dict[Pasid, None],
    ) -> str | None:
        if fact.call not in OF_ONE:
            return None
        others = sorted(one for one in {**has, **had} if (one in has) != (one in had))
        if fact.pasid in others and not (fact.errno and fact.pasid in has):
            others.remove(fact.pasid)
        if not others:
            return None
        ended = f"was refused ({fact.errno})" if fact.errno else "was granted"
        return (
            f"{fact.call} of {_said([fact.pasid])} of {fact.device} {ended} at "
            f"{when(record.stamp)}: {_said(others)} is attached or not, as it was not before"
        )


def _said(pasids: list[Pasid]) -> str:
    named = [f"PASID {one}" if one else "its RID" for one in pasids]
    return ", ".join(named) or "nothing"
