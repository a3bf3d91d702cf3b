"""L6: a block that stays up hangs the VM (S22)."""

from typing import ClassVar

from protocol.facts import Event, HostGone, VmEntryBlocked, VmEntryLifted
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, Since, since


class VmEntryIsLifted:
    """vCPUs that KVM keeps out of the guest are let in again."""

    name: ClassVar[str] = "vm-entry-lifted"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "L6"
    source: ClassVar[str] = "DCP arch/x86/kvm/vmx/vmx.c, read for its error exits"
    observes: ClassVar[tuple[type[Event], ...]] = (VmEntryBlocked, VmEntryLifted, HostGone)

    def __init__(self, machine: Machine) -> None:
        self.blocked: dict[Name, tuple[Name, Since]] = {}
        """VMs kept out, by which KVM, since when."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is VmEntryBlocked:
            self.blocked.setdefault(fact.vm, (record.stamp.actor, since(record.stamp)))
        elif type(fact) is VmEntryLifted:
            self.blocked.pop(fact.vm, None)
        elif type(fact) is HostGone:
            actor = record.stamp.actor
            self.blocked = {vm: by for vm, by in self.blocked.items() if by[0] != actor}
        return None

    def unmet(self) -> list[Owed]:
        return [
            Owed(f"the vCPUs of {vm} are kept out of the guest", begun, (kvm,))
            for vm, (kvm, begun) in self.blocked.items()
        ]
