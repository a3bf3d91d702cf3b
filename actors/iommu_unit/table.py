"""PASID table, PASID cache and IOTLB of a unit: entries set up and cleared, requests translated.

Kernel: drivers/iommu/intel/pasid.c writes and clears the entries.  §5.1, §5.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from actors.iommu_unit.state import Entry, Line, Tag
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import CacheFilled, EntryCleared, EntryWritten
from protocol.facts.intel_iommu import EntrySilenced, EntryZeroed
from protocol.messages import (
    ClearPresent,
    Done,
    Refused,
    Translate,
    Translated,
    Translation,
    UntranslatedDma,
    WriteEntry,
    ZeroEntry,
)
from protocol.messages.pasid_table import NESTED_LEVELS, SetUpEntry, ZeroAllButFpd
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_unit import IommuUnit

SILENT: Final = "silent"
"""The kind of an entry that has nothing but FPD."""
SECOND_LEVEL: Final = -1
"""In place of a page: what is cached of the second level that a nested entry is on top of."""


def write(unit: IommuUnit, write: WriteEntry, out: Out) -> None:
    """The whole entry, P last; what a cleared entry still held is overwritten."""
    tag = (write.device, write.pasid)
    was_present = unit.is_present(tag)
    unit.entries[tag] = Entry(write.incarnation, write.vm, write.table, write.did)
    out.record(
        EntryWritten(
            unit=unit.name,
            device=write.device,
            pasid=write.pasid,
            incarnation=write.incarnation,
            vm=write.vm,
            table=write.table,
            was_present=was_present,
        )
    )


def clear_present(unit: IommuUnit, clear: ClearPresent, sender: Name, out: Out) -> None:
    """P goes, the rest stays: whoever is fetching the entry sees all of it or none (mends S46)."""
    tag = (clear.device, clear.pasid)
    if not unit.is_present(tag):
        out.send(sender, Refused(clear.call, Errno.ENOENT))
        return

    entry = unit.entries[tag]
    unit.entries[tag] = replace(entry, present=False, fpd=clear.fpd)
    out.record(
        EntryCleared(
            unit=unit.name,
            device=clear.device,
            pasid=clear.pasid,
            incarnation=entry.incarnation,
            vm=entry.vm,
            by=clear.vm,
            why=clear.why,
        )
    )
    out.send(sender, Done(clear.call))


def zero(unit: IommuUnit, zero: ZeroEntry, out: Out) -> None:
    """All but P is zeroed; with P clear that is the end of the entry."""
    tag = (zero.device, zero.pasid)
    if unit.is_present(tag):
        # Nobody may do this (S46): from here on it translates through tables of nobody.
        unit.entries[tag] = Entry(unit.entries[tag].incarnation, vm="", table=0, did=0)
        return
    entry = unit.entries.pop(tag, None)
    if entry is not None and entry.kind:
        out.record(EntryZeroed(unit.name, zero.device, zero.pasid, zero.incarnation))


def set_up(unit: IommuUnit, setup: SetUpEntry, out: Out) -> None:
    """As `write`, of an entry whose driver says which levels it has."""
    tag = (setup.device, setup.pasid)
    was_present = unit.is_present(tag)
    entry = Entry(setup.incarnation, setup.vm, 0, setup.did, kind=setup.kind)
    unit.entries[tag] = entry
    out.record(
        EntryWritten(
            unit=unit.name,
            device=setup.device,
            pasid=setup.pasid,
            incarnation=setup.incarnation,
            vm=setup.vm,
            table=0,
            was_present=was_present,
        )
    )


def silence(unit: IommuUnit, silence: ZeroAllButFpd, out: Out) -> None:
    """What is left of an entry keeps faults of its PASID silent, and nothing else."""
    tag = (silence.device, silence.pasid)
    life = silence.incarnation
    if unit.is_present(tag):
        unit.entries[tag] = Entry(life, vm="", table=0, did=0, kind=unit.entries[tag].kind)
        return  # As with `zero`: nobody may do this.
    unit.entries[tag] = Entry(life, vm="", table=0, did=0, present=False, fpd=True, kind=SILENT)
    out.record(EntrySilenced(unit.name, silence.device, silence.pasid, life))


def look_up(unit: IommuUnit, tag: Tag, out: Out) -> Line | None:
    """The PASID cache answers first, and is filled from a present entry; absence is not cached."""
    line = unit.pasid_cache.get(tag)
    if line is not None or not unit.is_present(tag):
        return line

    line = unit.entries[tag].line()
    unit.pasid_cache[tag] = line
    record_filled("pasid-cache", tag, line, out)
    return line


def translate(
    unit: IommuUnit, request: Translate | UntranslatedDma, device: Name, out: Out
) -> Line | None:
    """IOTLB, PASID cache, table, in this order; a new page must be in the guest's table too."""
    tag = (device, request.pasid)
    cached = unit.iotlb.get(tag, {}).get(request.page)
    if cached is not None:
        return cached

    line = unit.look_up(tag, out)
    if line is None or not request.mapped:
        return None

    if tag not in unit.iotlb:
        record_filled("iotlb", tag, line, out)
    lines = unit.iotlb.setdefault(tag, {})
    lines[request.page] = line
    if line.kind == NESTED_LEVELS:
        lines[SECOND_LEVEL] = line
    return line


def translated(
    request: Translate | UntranslatedDma, line: Line | None, otherwise: Translation
) -> Translated:
    """The answer: the line, or `otherwise` and nothing about any entry."""
    if line is None:
        return Translated(request.call, otherwise, incarnation=0, vm="", table=0)
    return Translated(request.call, Translation.OK, line.incarnation, line.vm, line.table)


def record_filled(cache: str, tag: Tag, line: Line, out: Out) -> None:
    """A cache has a line of this life now."""
    device, pasid = tag
    out.record(CacheFilled(cache, device, pasid, line.incarnation))
