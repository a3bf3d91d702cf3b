"""O12, O17: a vCPU in the guest reads the table at any moment, and BIND writes it (S22)."""

from typing import ClassVar

from protocol.facts import (
    Event,
    NotifierUnregistered,
    ReferenceDropped,
    TranslationCleared,
    VmEntryBlocked,
    VmEntryLifted,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid, kvm_of
from protocol.properties.property import Kind, Owed, named, when


class VcpusKeptOutWhileCleared:
    """KVM clears an entry while vCPUs are kept out until its put, or when it is off the chain."""

    name: ClassVar[str] = "vcpus-kept-out-while-cleared"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O12, O17"
    source: ClassVar[str] = "DCP arch/x86/kvm/vmx/vmx.c: UNBIND, and VM destroy"
    observes: ClassVar[tuple[type[Event], ...]] = (
        VmEntryBlocked,
        TranslationCleared,
        ReferenceDropped,
        VmEntryLifted,
        NotifierUnregistered,
    )

    def __init__(self, machine: Machine) -> None:
        self.holders = {f"{kvm_of(vm.name)}:translation": vm.name for vm in machine.vms}
        self.off: dict[Name, tuple[Name, int]] = {}
        """KVMs whose notifier is off the chain, and where that was said."""
        self.blocked: dict[Name, dict[Pasid, tuple[Name, int]]] = {}
        """VMs kept out: what has been cleared meanwhile, and where it was put (0: not yet)."""
        self.lifted: dict[tuple[Name, Pasid], None] = {}
        """Cleared under a block that was lifted before the put."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is ReferenceDropped:
            vm = self.holders.get(fact.holder)
            if vm is not None:
                return self._put(record, fact, vm)
        elif type(fact) is TranslationCleared:
            return self._cleared(record, fact)
        elif type(fact) is VmEntryBlocked:
            self.blocked[fact.vm] = {}
        elif type(fact) is VmEntryLifted:
            return self._lifted(record, fact)
        elif type(fact) is NotifierUnregistered:
            self.off[fact.subscriber] = (record.stamp.actor, record.stamp.n)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _cleared(self, record: Record, fact: TranslationCleared) -> str | None:
        cleared = self.blocked.get(fact.vm)
        if cleared is not None:
            cleared[fact.pasid] = ("", 0)
            return None
        off = self.off.get(record.stamp.actor)
        if off is not None and record.saw(*off):
            return None
        life = named(fact.pasid, fact.incarnation)
        return (
            f"the entry of {life} was cleared with vCPUs of {fact.vm} in the guest and the "
            f"notifier registered, at {when(record.stamp)}"
        )

    def _put(self, record: Record, fact: ReferenceDropped, vm: Name) -> str | None:
        cleared = self.blocked.get(vm)
        if cleared is not None and fact.pasid in cleared:
            cleared[fact.pasid] = (record.stamp.actor, record.stamp.n)
        elif (vm, fact.pasid) in self.lifted:
            del self.lifted[vm, fact.pasid]
            return _early(record, vm, fact.pasid)
        return None

    def _lifted(self, record: Record, fact: VmEntryLifted) -> str | None:
        said = None
        for pasid, (actor, n) in self.blocked.pop(fact.vm, {}).items():
            if n == 0:
                self.lifted[fact.vm, pasid] = None  # If it has a reference to put.
            elif not record.saw(actor, n):
                said = _early(record, fact.vm, pasid)
        return said


def _early(record: Record, vm: Name, pasid: Pasid) -> str:
    return (
        f"the vCPUs of {vm} were let in before the put of PASID {pasid}, whose entry was cleared, "
        f"as known at {when(record.stamp)}"
    )
