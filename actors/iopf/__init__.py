"""The fault core: page requests of devices, in groups, and who handles and answers them.

A driver's thread reports one request after the other; the last of a group makes it a group, which
goes to the handler of the domain that the PASID has.  For an SVA domain that is work on the queue
of the IOMMU, unordered; for a page table of iommufd its context.  A group is answered once and then
freed, and each keeps the fault_param of its device.  PASID stop markers never get here: drivers
discard them.

Kernel: drivers/iommu/io-pgfault.c, drivers/iommu/iommu-sva.c of Linux 7.3.  §8.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, assert_never

from actors.iopf import answering, devices, handling, reporting
from actors.iopf.state import (
    NOMEM_GROUP,
    NOMEM_PARAM,
    NOMEM_PARTIAL,
    TIMER,
    Flush,
    Group,
    Param,
    Report,
    Settling,
    Work,
)
from protocol.effects import Out, Site
from protocol.machine import Machine
from protocol.messages import Done, HostLost, Refused, Start, TimerFired
from protocol.messages.address_spaces import (
    AddIopfDevice,
    DiscardPartialFaults,
    FlushIopfDevice,
    RemoveIopfDevice,
    ReportPageRequest,
)
from protocol.messages.iommu_core import AttachHandleGot
from protocol.messages.iommufd import ReportFault, RespondFault
from protocol.names import Call, Name

Inbox: TypeAlias = (
    Start
    | HostLost
    | ReportPageRequest
    | ReportFault
    | RespondFault
    | AddIopfDevice
    | RemoveIopfDevice
    | FlushIopfDevice
    | DiscardPartialFaults
    | TimerFired
    | AttachHandleGot
    | Done
    | Refused
)


@dataclass(slots=True)
class Iopf:
    """`units`, `homes` (groups of the core) by device; `on_queue` has each device's fault_param.

    A fault_param lives while it has users; a group while it is in `groups`.
    """

    SITES: ClassVar[tuple[Site, ...]] = (NOMEM_PARAM, NOMEM_PARTIAL, NOMEM_GROUP)
    LOSABLE: ClassVar[bool] = False

    units: dict[Name, Name]
    homes: dict[Name, Name]
    processes: tuple[Name, ...]
    on_queue: dict[Name, int] = field(default_factory=dict)
    params: dict[int, Param] = field(default_factory=dict)
    groups: dict[int, Group] = field(default_factory=dict)
    tasks: dict[Call, Report | Work | Settling] = field(default_factory=dict)
    flushes: list[Flush] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine, _name: Name) -> Self:
        """No device is on a queue."""
        homes = {device: group.name for group in machine.groups for device in group.devices}
        units = {one.name: one.unit for one in machine.devices if one.unit}
        return cls(units, {one: homes.get(one, one) for one in units}, machine.processes)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """Reports, answers of iommufd, the turns of works, and the devices."""
        match message:
            case Start() | HostLost():
                pass  # Who has asked for a page waits for its answer, whoever else has gone.
            case ReportPageRequest() | ReportFault():
                self.on_report(message, sender, out)
            case RespondFault():
                self.on_respond_fault(message, sender, out)
            case AddIopfDevice():
                self.on_add_device(message, sender, out)
            case RemoveIopfDevice():
                self.on_remove_device(message, sender, out)
            case FlushIopfDevice():
                self.on_flush_device(message, sender, out)
            case DiscardPartialFaults():
                self.on_discard_partial(message, sender, out)
            case TimerFired():
                work = self.tasks[int(message.timer.removeprefix(TIMER))]
                assert isinstance(work, Work), "there is one timer for each work"
                self.go_on_working(work, None, out)
            case AttachHandleGot() | Done() | Refused():
                self.on_answer(message, out)
            case _:
                assert_never(message)

    def on_answer(self, answer: AttachHandleGot | Done | Refused, out: Out) -> None:
        """The report, or the work, that asked goes on."""
        task = self.tasks[answer.call]
        if isinstance(task, Report):
            self.go_on_reporting(task, answer, out)
        elif isinstance(task, Settling):
            handling.settled(self, task, out)
        else:
            self.go_on_working(task, answer, out)

    def number_for(self, _task: object) -> Call:
        """The smallest that no task has."""
        number = 1
        while number in self.tasks:
            number += 1
        return number

    def group_number(self) -> int:
        """The smallest that no group has: memory is used again."""
        number = 1
        while number in self.groups:
            number += 1
        return number

    def param_number(self) -> int:
        """The smallest that no fault_param has."""
        number = 1
        while number in self.params:
            number += 1
        return number

    on_report = reporting.on_report
    go_on_reporting = reporting.go_on_reporting
    falls_back_to_rid = reporting.falls_back_to_rid
    unhandled = reporting.unhandled
    form_group = reporting.form_group
    hand_over = handling.hand_over
    delivered = handling.delivered
    queue_work = handling.queue_work
    go_on_working = handling.go_on_working
    on_respond_fault = handling.on_respond_fault
    settles = handling.settles
    give_away = answering.unlist
    answer_group = answering.answer_group
    answer_request = answering.answer_request
    free_group = answering.free_group
    unlist = answering.unlist
    put_param = answering.put_param
    on_add_device = devices.on_add_device
    on_remove_device = devices.on_remove_device
    remove_group = devices.remove_group
    on_flush_device = devices.on_flush_device
    to_wait_for = devices.to_wait_for
    on_discard_partial = devices.on_discard_partial
    work_ended = devices.work_ended
