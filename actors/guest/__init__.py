"""QEMU, the guest's kernel and a process in it, as one actor: the one who uses PASIDs.

It does what its plan says, well or badly; nobody on the host may trust it.  What it owns is what it
believes: its names for PASIDs, its queues, and the operations it waits for.

Kernel: QEMU's vSVA series of 2020; the guest's drivers/iommu/intel, drivers/dma/idxd.  §4.7, §7.
"""

from dataclasses import dataclass, field
from itertools import chain
from typing import ClassVar, Final, Self, TypeAlias, assert_never

from actors.guest import boot, completions, descriptors, operations, pages, script, variables
from actors.guest.state import (
    NOT_BUSY,
    SUBMITS,
    Answer,
    Living,
    Opening,
    Operation,
    Phase,
    Responding,
    Task,
    Value,
    Variable,
    awaited_from,
)
from protocol.effects import Out, Site
from protocol.machine import Machine
from protocol.messages import (
    DescriptorDone,
    Done,
    GuestEnqcmdGot,
    HostLost,
    PageRequestReport,
    Refused,
    RequestPasidGot,
    Start,
    TimerFired,
    Told,
    VmExit,
)
from protocol.names import VFIO, Call, Gpasid, Name, Pasid, guest_of, vm_of
from protocol.plan import Plan, Step

__all__ = ["Guest", "Inbox"]

Inbox: TypeAlias = (
    Start | Told | TimerFired | DescriptorDone | PageRequestReport | HostLost | Answer
)

IDLE: Final = Plan()
WITHHELD: Final = 3


@dataclass(slots=True)
class Guest:
    """At most one operation is waited for, `busy`; those that are `async` run beside it.

    `queues` has the PASID of each enabled queue (0: shared), None where it is disabled, nothing
    where it was never touched; `ims` that of each interrupt store in use.  `door`: who has PASIDs.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = True

    vm: Name
    groups: tuple[tuple[Name, ...], ...]
    dedicated: tuple[Name, ...]
    pasids: int
    plan: Plan = IDLE
    phase: Phase = Phase.OFF
    tasks: dict[Call, Task] = field(default_factory=dict)
    busy: Call = NOT_BUSY
    invoked: int = 0
    position: int = 0
    drawn: int = 0
    tidied: bool = False
    todo: list[Step] = field(default_factory=list)
    variables: dict[str, Variable] = field(default_factory=dict)
    told: dict[str, Value] = field(default_factory=dict)
    queues: dict[Name, Pasid | None] = field(default_factory=dict)
    ims: dict[Name, Pasid] = field(default_factory=dict)
    lost: list[Name] = field(default_factory=list)
    parents: dict[Name, Name] = field(default_factory=dict)
    door: Name = VFIO
    living: Living = field(default_factory=Living)

    @classmethod
    def of(cls, machine: Machine, name: Name, plan: Plan = IDLE) -> Self:
        """The guest of a VM, with its work."""
        vm = machine.vm(vm_of(name))
        dedicated = [d for d in vm.devices if machine.device(d).wq == "dedicated"]
        fields = (vm.name, vm.groups, tuple(dedicated), machine.pasids, plan)
        return cls(*fields, parents=machine.parents, door=machine.door)

    @property
    def name(self) -> Name:
        """The actor's own."""
        return guest_of(self.vm)

    @property
    def devices(self) -> list[Name]:
        """All of them, in the order of the groups."""
        return [device for group in self.groups for device in group]

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        if self.phase is Phase.EXITED:
            return  # There is nobody left to read it.
        match message:
            case Done() | GuestEnqcmdGot() | RequestPasidGot() | Refused() | VmExit():
                self.on_answer(message, sender, out)
            case DescriptorDone():
                completions.on_descriptor_done(self, message, out)
            case PageRequestReport():
                pages.on_page_request_report(self, message, out)
            case TimerFired():
                descriptors.on_timer(self, message.timer, out)
            case Told():
                variables.on_told(self, message, sender)
            case Start():
                boot.on_start(self, out)
            case HostLost():
                self.on_host_lost(message, out)
            case _:
                assert_never(message)
        script.go_on(self, out)

    def on_answer(self, answer: Answer, sender: Name, out: Out) -> None:
        """The task that asked goes on."""
        task = self.tasks.get(answer.call)
        if task is None or awaited_from(task) != sender:
            return  # Too late: its operation has ended without it.

        match task:
            case Operation():
                operations.on_answer(self, task, answer, out)
            case Opening() | Responding():
                del self.tasks[answer.call]
                boot.look_whether_booted(self)
            case _:
                assert_never(task)

    def on_host_lost(self, lost: HostLost, out: Out) -> None:
        """What it owed will never come; nor will the descriptors in a lost device."""
        self.lost.append(lost.name)
        for task in self.running():
            if task.step.operation in SUBMITS and self.hardware(task.step) == lost.name:
                completions.on_device_lost(self, task, out)
        for number, waiting in list(self.tasks.items()):
            if awaited_from(waiting) == lost.name:
                if isinstance(waiting, Operation):
                    operations.on_target_lost(self, waiting, out)
                else:
                    del self.tasks[number]
        boot.look_whether_booted(self)

    def forget(self) -> None:
        """QEMU has ended: there is nobody left to remember anything."""
        self.phase = Phase.EXITED
        self.busy = NOT_BUSY
        for memory in (self.tasks, self.variables, self.told, self.queues, self.ims, self.todo):
            memory.clear()
        self.living = Living()

    # --- What others ask about it -----------------------------------------------------------------

    def free_number(self) -> Call:
        """The smallest that no task has."""
        number = 1
        while number in self.tasks:
            number += 1
        return number

    def running(self) -> list[Operation]:
        """The operations that are not over."""
        return [task for task in self.tasks.values() if isinstance(task, Operation)]

    def device_of(self, step: Step) -> Name:
        """The step's device; a step that names none means the first."""
        return step.device or next(chain.from_iterable(self.groups), "")

    def hardware(self, step: Step) -> Name:
        """What is behind the step's device: an mdev has its parent's VDCM and work queue."""
        device = self.device_of(step)
        return self.parents.get(device, device)

    def group_of(self, device: Name) -> int:
        """The group of a device; for a device of another, a group that this VM does not have."""
        return next((n for n, group in enumerate(self.groups) if device in group), len(self.groups))

    def wq_gpasid(self, device: Name, gpasid: Gpasid) -> Gpasid:
        """What a queue is enabled with: a shared one takes the PASID from each command."""
        return gpasid if device in self.dedicated else 0

    # --- Rules, one method each -------------------------------------------------------------------

    def withholds(self, out: Out) -> bool:
        """A good guest answers every page request; another does not, one time in four."""
        return "no-response" in self.plan.misbehave and out.draw(4) == WITHHELD
