"""The VMM of guests on a modern machine: refusals, what is undone, who is told and waited for."""

from typing import Final, cast

import pytest

from actors.vmm import Inbox, Vmm
from actors.vmm.state import Life
from protocol.effects import Out, Send
from protocol.errors import Errno
from protocol.facts import BindAnswered, FdsReleased, PasidReclaimed
from protocol.machine import IOMMUFD, Device, Machine, Unit, Vm
from protocol.messages import (
    AnyMessage,
    BindPgtbl,
    Done,
    FindBySpid,
    FindBySpidGot,
    FreePasidRange,
    GetPasid,
    HostLost,
    NotifyBind,
    NotifyFree,
    NotifyReply,
    OpenContainer,
    PageRequestReport,
    Priority,
    PutPasid,
    PutPasidGot,
    QueueWork,
    Refused,
    RegisterNotifierMm,
    ReleaseFds,
    RequestPasid,
    RequestPasidGot,
    RespondPage,
    ResponseCode,
    UnbindPgtbl,
    UnregisterNotifier,
    Verdict,
)
from protocol.messages.guests import (
    AllocVdevice,
    AllocViommu,
    FaultsTaken,
    PageFault,
    WaitForFaults,
)
from protocol.messages.iommu_core import AllocGlobalPasid, AllocGlobalPasidGot, FreeGlobalPasid
from protocol.messages.iommufd import (
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    AnswerFault,
    AttachPt,
    BindDevice,
    CloseFaultQueue,
    DestroyObject,
    DetachPt,
    ObjectGot,
    PtGot,
    UnbindDevice,
)
from protocol.names import IOMMU_CORE, VMM, WORKQUEUE, Name
from tests.helpers import sent, step

GUEST, OTHER, KVM, VDCM = "vm1.guest", "vm2.guest", "vm1.kvm", "vdcm.dsa0"
CONTEXT = "vm1.iommufd"
MACHINE = Machine(
    units=(Unit("dmar0"), Unit("dmar1")),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar1", pri=False)),
    vms=(Vm("vm1", (("dsa0", "dsa1"),)), Vm("vm2", (("dsa0", "dsa1"),))),
    stack=IOMMUFD,
)
OPEN, ALLOC = OpenContainer(7, 0), RequestPasid(7, 1, 9)
BIND, UNBIND, FREE = BindPgtbl(7, 0, 4, 1, 2, 2), UnbindPgtbl(7, 0, 4, 1), FreePasidRange(7, 4, 4)
MADE: Final = (BindDevice, AllocIoas, AllocFaultQueue, AllocHwpt, AllocViommu, AllocVdevice)


class Around:
    """Who is around the VMM: all agree, but for what is to be refused, once."""

    def __init__(self) -> None:
        self.vmm = Vmm.of(MACHINE, VMM)
        self.refuse: dict[type, Errno] = {}
        self.asked: list[AnyMessage] = []
        self.answers: list[tuple[Name, AnyMessage]] = []
        self.facts: list[object] = []
        self.ids = 0

    def ask(self, message: Inbox, sender: Name = GUEST) -> AnyMessage | None:
        """The answer to the sender, when nothing moves any more."""
        before = len(self.answers)
        queue: list[tuple[AnyMessage, Name]] = [(message, sender)]
        while queue:
            given, whose = queue.pop(0)
            out = step(self.vmm, cast("Inbox", given), whose, name=VMM)
            self.facts += out.facts
            queue += self.answered(out)
        return next((one for to, one in self.answers[before:] if to == sender), None)

    def answered(self, out: Out) -> list[tuple[AnyMessage, Name]]:
        """What those who were asked say."""
        said: list[tuple[AnyMessage, Name]] = []
        for effect in sent(out):
            assert isinstance(effect, Send)
            if effect.to not in (CONTEXT, IOMMU_CORE):
                self.answers.append((effect.to, effect.message))
                continue
            self.asked.append(effect.message)
            answer = self.answer(effect.message)
            if answer is not None:
                said.append((answer, effect.to))
        return said

    def answer(self, asked: AnyMessage) -> AnyMessage | None:
        call = asked.call  # type: ignore[union-attr]
        errno = self.refuse.pop(type(asked), None)
        if errno is not None:
            return Refused(call, errno)
        if isinstance(asked, AllocGlobalPasid):
            return AllocGlobalPasidGot(call, 4, 1)
        if isinstance(asked, AttachPt):
            return PtGot(call, asked.pt)
        if isinstance(asked, WaitForFaults):
            return None
        if isinstance(asked, MADE):
            self.ids += 1
            return ObjectGot(call, self.ids)
        return Done(call)

    def asked_since(self, at: int) -> list[type]:
        """What was asked from then on."""
        return [type(one) for one in self.asked[at:]]

    def told(self, *names: Name) -> None:
        """They want to hear of vm1's PASIDs."""
        for name in names:
            priority = Priority.CPU if name == KVM else Priority.DEVICE
            assert self.ask(RegisterNotifierMm(3, "vm1", priority), name) == Done(3)

    @property
    def life(self) -> Life:
        return self.vmm.vms["vm1"].pasids[4]


def opened() -> Around:
    around = Around()
    assert around.ask(OPEN) == Done(7)
    return around


def allocated() -> Around:
    around = opened()
    assert around.ask(ALLOC) == RequestPasidGot(7, 4, 1)
    return around


def bound() -> Around:
    around = allocated()
    assert around.ask(BIND) == Done(7)
    return around


def test_a_group_is_opened_device_after_device_on_its_unit() -> None:
    assert opened().asked_since(0) == [
        AllocIoas, AllocFaultQueue, WaitForFaults,
        BindDevice, AllocHwpt, AllocViommu, AllocVdevice,
        BindDevice, AllocHwpt, AllocViommu, AllocVdevice,
    ]  # fmt: skip


def test_err_a_group_that_is_not_there_or_open_already() -> None:
    around = opened()
    assert around.ask(OpenContainer(7, 1)) == Refused(7, Errno.EINVAL)
    assert around.ask(OPEN) == Refused(7, Errno.EBUSY)
    around.ask(ReleaseFds("vm1"))
    assert around.ask(OPEN) == Refused(7, Errno.EOPNOTSUPP)


@pytest.mark.parametrize("kind", MADE)
def test_err_what_fails_in_an_open_is_taken_back(kind: type) -> None:
    around = Around()
    around.refuse[kind] = Errno.ENOMEM
    assert around.ask(OPEN) == Refused(7, Errno.ENOMEM)
    vm = around.vmm.vms["vm1"]
    assert (vm.ioas, vm.queue, vm.devices, vm.parents, vm.viommus) == (0, 0, {}, {}, {})
    assert (vm.vdevices, vm.open) == ({}, [])


@pytest.mark.parametrize("request_", [ALLOC, FREE, BIND, UNBIND])
def test_err_nothing_without_an_open_group(request_: Inbox) -> None:
    assert Around().ask(request_) == Refused(7, Errno.EOPNOTSUPP)


def test_err_a_range_that_is_none_and_no_number() -> None:
    around = opened()
    assert around.ask(RequestPasid(7, 5, 4)) == Refused(7, Errno.EINVAL)
    around.refuse[AllocGlobalPasid] = Errno.ENOSPC
    assert around.ask(ALLOC) == Refused(7, Errno.ENOSPC)


def test_err_a_bind_of_what_is_not_its_own_bound_or_named_already() -> None:
    around = opened()
    assert around.ask(BIND) == Refused(7, Errno.ENOENT)
    around.vmm.vms["vm2"].pasids[4] = Life(1)
    assert around.ask(BIND) == Refused(7, Errno.EPERM)
    assert around.ask(UNBIND) == Refused(7, Errno.EPERM)
    around = bound()
    assert around.ask(BIND) == Refused(7, Errno.EBUSY)
    around.vmm.vms["vm1"].pasids[5] = Life(2)
    assert around.ask(BindPgtbl(7, 0, 5, 2, 2, 2)) == Refused(7, Errno.EINVAL)


@pytest.mark.parametrize(("kind", "last"), [(AllocHwpt, AllocHwpt), (AttachPt, DestroyObject)])
def test_err_a_bind_that_is_refused_leaves_nothing(kind: type, last: type) -> None:
    around = allocated()
    around.refuse[kind] = Errno.ENOMEM
    assert around.ask(BIND) == Refused(7, Errno.ENOMEM)
    assert type(around.asked[-1]) is last
    assert (around.life.tables, around.life.gpasid) == ({}, 0)
    assert isinstance(around.facts[-2], BindAnswered)


def test_bind_is_told_to_kvm_last_and_bad_takes_it_back() -> None:
    around = allocated()
    around.ask(UnregisterNotifier(1, "vm1"), KVM)
    del around.vmm.vms["vm1"].pasids[4]
    around.told(VDCM, KVM)
    around.ask(ALLOC)
    around.ask(BIND)
    assert isinstance(around.answers[-1][1], NotifyBind)
    assert around.answers[-1][0] == VDCM
    call = around.answers[-1][1].call
    around.ask(NotifyReply(call, Verdict.OK), VDCM)
    assert around.answers[-1][0] == KVM
    around.ask(NotifyReply(call, Verdict.BAD), KVM)
    around.ask(NotifyReply(call, Verdict.OK), KVM)
    around.ask(NotifyReply(call, Verdict.OK), VDCM)
    assert around.answers[-1] == (GUEST, Refused(7, Errno.ENOMEM))
    assert around.life.tables == {}


def test_free_tells_waits_detaches_and_gives_back_in_this_order() -> None:
    around = opened()
    around.told(KVM)
    around.ask(ALLOC)
    around.ask(BIND)
    around.ask(NotifyReply(around.answers[-1][1].call, Verdict.OK), KVM)  # type: ignore[union-attr]
    assert around.ask(GetPasid(3, 1, 4, 1, "translation"), KVM) == Done(3)
    at = len(around.asked)
    around.ask(FREE)
    told = around.answers[-1][1]
    assert isinstance(told, NotifyFree)
    assert around.ask(GetPasid(4, 1, 4, 1, "late"), VDCM) == Refused(4, Errno.EBUSY)
    assert around.ask(FindBySpid(4, "vm1", 2, "late"), VDCM) == Refused(4, Errno.EBUSY)
    around.ask(NotifyReply(told.call, Verdict.OK), KVM)
    assert around.asked_since(at) == []
    assert around.ask(PutPasid(5, 4, 1, "translation"), KVM) == PutPasidGot(5, reclaimed=False)
    pair = [DetachPt, DestroyObject]
    assert around.asked_since(at) == [*pair, *pair, FreeGlobalPasid]
    assert around.answers[-1] == (GUEST, Done(7))
    assert any(isinstance(one, PasidReclaimed) for one in around.facts)


def test_a_number_that_the_lost_have_used_is_never_given_back() -> None:
    around = opened()
    around.told(VDCM)
    around.ask(ALLOC)
    around.ask(GetPasid(3, 0, 4, 1, "wq"), VDCM)
    around.ask(FREE)
    around.ask(HostLost(VDCM), "supervisor")
    assert around.answers[-1] == (GUEST, Done(7))
    assert not any(isinstance(one, FreeGlobalPasid) for one in around.asked)
    around.ask(ALLOC)
    assert around.ask(BIND) == Refused(7, Errno.ENODEV)


def test_err_who_uses_what_is_nobodys_or_anothers() -> None:
    around = bound()
    assert around.ask(GetPasid(3, 0, 9, 1, "x"), KVM) == Refused(3, Errno.EINVAL)
    assert around.ask(GetPasid(3, 2, 4, 1, "x"), KVM) == Refused(3, Errno.EACCES)
    assert around.ask(FindBySpid(3, "vm1", 9, "x"), VDCM) == Refused(3, Errno.ENOENT)
    assert around.ask(FindBySpid(3, "vm9", 2, "x"), VDCM) == Refused(3, Errno.ENOENT)
    assert around.ask(FindBySpid(3, "vm1", 2, "x"), VDCM) == FindBySpidGot(3, 4, 1)
    assert around.ask(PutPasid(3, 9, 1, "x"), VDCM) == PutPasidGot(3, reclaimed=False)
    assert around.ask(RegisterNotifierMm(3, "vm1", Priority.CPU), KVM) == Refused(3, Errno.EBUSY)
    assert around.ask(RegisterNotifierMm(3, "vm9", Priority.CPU), KVM) == Refused(3, Errno.EINVAL)


def test_work_goes_to_the_workqueue_in_the_name_of_its_owner() -> None:
    around = Around()
    around.ask(QueueWork("vm1:swq:4", 4, 1), VDCM)
    assert around.answers == [(WORKQUEUE, QueueWork("vm1:swq:4", 4, 1, owner=VDCM))]


FAULT = PageFault(1, "dsa0", 4, 1, 9, 256)
RESPOND = RespondPage(8, "dsa0", 4, 1, 9, ResponseCode.SUCCESS)


def faulted(around: Around) -> Around:
    waiting = next(one for one in around.asked if isinstance(one, WaitForFaults))
    around.ask(FaultsTaken(waiting.call, (FAULT,)), CONTEXT)
    return around


def test_a_page_request_goes_to_the_guest_and_back_with_its_cookie() -> None:
    around = faulted(bound())
    assert around.answers[-1] == (GUEST, PageRequestReport("vm1", "dsa0", 4, 1, 2, 9, 256))
    assert around.ask(RESPOND) == Done(8)
    assert AnswerFault in around.asked_since(0)
    assert around.ask(RESPOND) == Refused(8, Errno.EINVAL)


def test_a_cookie_is_nobodys_when_its_pasid_is_detached() -> None:
    around = faulted(bound())
    assert around.ask(UNBIND) == Done(7)
    assert around.ask(RESPOND) == Refused(8, Errno.EINVAL)
    faulted(around)
    assert around.vmm.vms["vm1"].faults == {}


def test_an_answer_that_could_not_be_copied_is_written_again() -> None:
    around = faulted(bound())
    around.refuse[AnswerFault] = Errno.EFAULT
    assert around.ask(RESPOND) == Done(8)


def test_a_lost_guests_page_requests_are_answered_in_its_place() -> None:
    around = bound()
    around.ask(HostLost(GUEST), "supervisor")
    faulted(around)
    (answer,) = [one for one in around.asked if isinstance(one, AnswerFault)]
    assert answer.code == ResponseCode.INVALID


def test_err_a_page_response_without_anything_open() -> None:
    assert Around().ask(RESPOND) == Refused(8, Errno.EOPNOTSUPP)


def test_closing_takes_all_apart_once_and_the_numbers_last() -> None:
    around = bound()
    at = len(around.asked)
    around.ask(ReleaseFds("vm1"))
    around.ask(ReleaseFds("vm1"))
    around.ask(ReleaseFds("vm9"))
    assert around.asked_since(at) == [
        DetachPt, DestroyObject, DetachPt, DestroyObject,
        *[DestroyObject] * 6,
        UnbindDevice, UnbindDevice, CloseFaultQueue, DestroyObject, DestroyObject,
        FreeGlobalPasid,
    ]  # fmt: skip
    assert around.facts.count(FdsReleased("vm1")) == 1


def test_the_queue_that_is_closed_is_waited_at_no_more() -> None:
    around = opened()
    waiting = next(one for one in around.asked if isinstance(one, WaitForFaults))
    around.ask(Refused(waiting.call, Errno.ENOMEM), CONTEXT)
    assert around.asked_since(0).count(WaitForFaults) == 2
    around.ask(Refused(waiting.call, Errno.ENOENT), CONTEXT)
    assert around.asked_since(0).count(WaitForFaults) == 2
    assert around.vmm.tasks == {}
