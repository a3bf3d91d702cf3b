"""A DSA-like device: work queues, descriptors that run on their own, a device TLB, page requests.

It is hardware and a witness: it runs whatever it has accepted with the PASID it was given, and
keeps every translation until it is told to drop it.  To stop it is up to those who hold the PASID.

Kernel: drivers/dma/idxd is its driver; PCIe ATS and PRI say how it asks the unit.  §5.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, assert_never

from actors.device import capability, queues, reset, work
from actors.device.inbox import Inbox
from actors.device.state import (
    Command,
    Descriptor,
    Group,
    Line,
    Service,
    Slot,
    Waiting,
    Work,
    WorkQueue,
)
from protocol.effects import Out, Site
from protocol.facts import CacheFlushed
from protocol.machine import Machine
from protocol.messages import (
    DescriptorDone,
    DisableWq,
    Done,
    DrainPasid,
    DrainWq,
    EnableWq,
    EnqcmdWrite,
    EnqcmdWriteGot,
    FlushDevTlb,
    HostLost,
    PageGroupResponse,
    ResetFunction,
    ReturnToService,
    Start,
    Status,
    SubmitDescriptor,
    Translated,
    WqMode,
    WriteIms,
)
from protocol.messages.probing import PciDisablePasid, PciEnablePasid, PfPasidStatus
from protocol.names import Name, Pasid, guest_of, vm_of


@dataclass(slots=True)
class Device:
    """A descriptor is of an enabled queue; a group is owed from its request to its answer.

    `queues` has the VMs whose WQ is enabled, `waiting` the commands whose descriptors are not gone.
    `pasid_on`: its PASID capability is enabled; `pf`: that of a virtual function is its device's.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    name: Name
    unit: Name
    mode: WqMode
    wq_size: int
    ats: bool
    pri: bool
    queues: dict[Name, WorkQueue] = field(default_factory=dict)
    ims: dict[Name, Slot] = field(default_factory=dict)
    descriptors: dict[int, Descriptor] = field(default_factory=dict)
    tlb: dict[Pasid, dict[int, Line]] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    service: Service = Service.IN
    processes: tuple[Name, ...] = ()
    pasid_on: bool = True
    quirks: str = ""
    pf: Name = ""

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """A device with nothing enabled."""
        spec = machine.device(name)
        mode, pri = WqMode(spec.wq), machine.has_pri(spec)
        fields = (name, spec.unit, mode, spec.wq_size, spec.ats, pri)
        made = cls(*fields, processes=(*machine.processes, *machine.callers))
        made.pasid_on, made.pf = machine.has_pasid(spec), spec.pf
        made.quirks = "+".join(spec.quirks if spec.pasids else (*spec.quirks, capability.NONE))
        return made

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """The device's table of contents."""
        match message:
            case FlushDevTlb():
                self.on_flush_dev_tlb(message, sender, out)
            case Translated():
                self.on_translated(message, out)
            case EnqcmdWrite():
                self.on_enqcmd_write(message, sender, out)
            case SubmitDescriptor():
                self.on_submit_descriptor(message, sender, out)
            case PageGroupResponse():
                self.on_page_group_response(message, out)
            case EnableWq():
                self.on_enable_wq(message, sender, out)
            case DisableWq() | DrainWq() | DrainPasid():
                self.on_command(message, sender, out)
            case WriteIms():
                self.on_write_ims(message, sender, out)
            case ResetFunction():
                reset.begin(self, out)
            case ReturnToService():
                reset.end(self, out)
            case PciEnablePasid() | PciDisablePasid() | PfPasidStatus():
                capability.on_request(self, message, sender, out)
            case Start():
                pass  # Hardware is there before any software.
            case HostLost():
                pass  # Completion records go nowhere then, and commands are answered to nobody.
            case _:
                assert_never(message)

    def on_enable_wq(self, enable: EnableWq, vdcm: Name, out: Out) -> None:
        """The WQ takes descriptors; a dedicated one is given its PASID."""
        queues.enable(self, enable, vdcm, out)

    def on_command(self, command: Command, vdcm: Name, out: Out) -> None:
        """Disable and drain are answered when none of their descriptors is left (§5.6)."""
        queues.command(self, command, vdcm, out)

    def on_write_ims(self, write: WriteIms, vdcm: Name, out: Out) -> None:
        """The interrupt message storage entry of the VM holds this PASID, or none."""
        queues.write_ims(self, write, vdcm, out)

    def on_enqcmd_write(self, write: EnqcmdWrite, kvm: Name, out: Out) -> None:
        """Accepted if the VM's shared WQ is enabled and there is room; else the guest retries."""
        accepted = self.mode is WqMode.SHARED and self.has_room(write.vm)
        out.send(kvm, EnqcmdWriteGot(write.call, accepted))
        if accepted:
            fields = (write.vm, write.tag, write.pasid, write.incarnation, write.page)
            work.accept(self, Work(*fields, write.mapped), out)

    def on_submit_descriptor(self, submit: SubmitDescriptor, guest: Name, out: Out) -> None:
        """The PASID is that of the WQ; without a dedicated WQ or room it is dropped."""
        vm = submit.mm or vm_of(guest)
        slot = self.queues[vm].slot if self.has_room(vm) else None
        if slot is None:
            out.send(guest, DescriptorDone(self.name, submit.tag, Status.ABORT))
            return
        fields = (vm, submit.tag, slot.pasid, slot.incarnation, submit.page)
        work.accept(self, Work(*fields, submit.mapped), out)

    def on_translated(self, answer: Translated, out: Out) -> None:
        """The access goes to memory, or asks for its page, or is blocked."""
        work.translated(self, answer, out)

    def on_page_group_response(self, response: PageGroupResponse, out: Out) -> None:
        """SUCCESS makes the device translate again; anything else is a fault (§5.4)."""
        work.page_answered(self, response, out)

    def on_flush_dev_tlb(self, flush: FlushDevTlb, unit: Name, out: Out) -> None:
        """Complete when no line is left; page requests sent before travel ahead of the answer."""
        if flush.pasid == 0:
            for pasid, lines in self.tlb.items():
                any_line = next(iter(lines.values()))
                out.record(CacheFlushed("device-tlb", self.name, pasid, any_line.incarnation))
            self.tlb.clear()
        else:
            self.tlb.pop(flush.pasid, None)
            out.record(CacheFlushed("device-tlb", self.name, flush.pasid, flush.incarnation))
        out.send(unit, Done(flush.call))

    def has_room(self, vm: Name) -> bool:
        """Whether the WQ takes one more: all VMs share one, each dedicated WQ has its own bound."""
        queue = self.queues.get(vm)
        if queue is None or queue.closing or self.service is not Service.IN:
            return False
        held = [one for one in self.descriptors.values() if one.work.vm == vm or queue.slot is None]
        return len(held) < self.wq_size

    def user_of(self, vm: Name) -> Name:
        """Who reads the completion records: the VM's guest, or a process of the host itself."""
        return vm_of(vm) if vm_of(vm) in self.processes else guest_of(vm)

    def may_request_page(self) -> bool:
        """Page requests need PRI, ATS, and a group index that nobody is owed an answer for."""
        return self.pri and self.ats and len(self.groups) < work.GROUPS

    def answer_commands(self, out: Out) -> None:
        """Descriptors have left: maybe the last that a command, or a reset, waited for."""
        queues.answer(self, out)
        reset.look_whether_empty(self, out)
