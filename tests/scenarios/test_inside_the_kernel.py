"""What no guest can bring about, because VFIO and QEMU's order of opening are in the way.

A caller inside the kernel that knows no ioctl (S33), and a KVM that comes too late (S23).
"""

from typing import Final

import pytest

from protocol.errors import Errno
from protocol.facts import FreeRequested, NotificationSent, SubscriberCalled
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    AllocSet,
    AllocSetGot,
    AnyMessage,
    AttachDomain,
    AttachSpid,
    BindGpasid,
    Done,
    FindBySpid,
    FindPasid,
    FreeAllInSet,
    FreePasid,
    GetIfOwned,
    GetPasid,
    GuestEnqcmd,
    OpenVdev,
    OpenVm,
    PutPasid,
    PutPasidGot,
    Refused,
    UnbindGpasid,
    VmExit,
)
from protocol.names import CORE, IOMMU, KERNEL, VFIO
from tests.scenarios.bench import Bench

MACHINE: Final = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar0")),
    vms=(Vm("vm1", (("dsa0", "dsa1"),)), Vm("vm2", (("dsa0",),))),
)


def with_a_pasid_of_vm1(*names: str) -> tuple[Bench, AllocPasidGot]:
    """A set for each VM, and a PASID, which has an SPID, in the first."""
    bench = Bench(MACHINE, CORE, *names)
    for call, token in ((1, "vm1"), (2, "vm2")):
        assert bench.say(VFIO, CORE, AllocSet(call, token, 4)) == [(VFIO, AllocSetGot(call, call))]
    [(_, got)] = bench.say(VFIO, CORE, AllocPasid(3, 1, 1, 8))
    assert isinstance(got, AllocPasidGot)
    return bench, got


def opened(bench: Bench, actor: str) -> AnyMessage:
    """What QEMU hears when it opens the VM or the virtual device."""
    opening = OpenVm(1) if actor.endswith("kvm") else OpenVdev(1)
    [(to, answer)] = bench.say("vm1.guest", actor, opening)
    assert to == "vm1.guest"
    return answer


@pytest.mark.parametrize("actor", ["vm1.kvm", "vdcm.dsa0"])
def test_registration_after_first_pasid_is_busy(actor: str) -> None:
    """S23: nothing is told again, so who comes after the first PASID would miss its BIND (O16)."""
    bench, got = with_a_pasid_of_vm1(actor)
    assert opened(bench, actor) == Refused(1, Errno.EBUSY)

    attach = AttachSpid(1, got.pasid, got.incarnation, 7)
    assert bench.say(IOMMU, CORE, attach) == [(IOMMU, Done(1))]
    assert not bench.of(SubscriberCalled)
    if actor == "vm1.kvm":
        command = GuestEnqcmd(2, "dsa0", 7, 1, 0, mapped=True)
        assert bench.say("vm1.guest", actor, command) == [("vm1.guest", VmExit(2))]


@pytest.mark.parametrize("actor", ["vm1.kvm", "vdcm.dsa0"])
def test_registration_before_the_first_pasid_is_in_time(actor: str) -> None:
    """Before the set or after it, as long as it is empty; and again when it has become so."""
    early = Bench(MACHINE, CORE, actor)
    assert opened(early, actor) == Done(1)

    late, got = with_a_pasid_of_vm1(actor)
    late.say(VFIO, CORE, FreePasid(1, 1, got.pasid, got.incarnation))
    assert opened(late, actor) == Done(1)
    late.say(VFIO, CORE, AllocPasid(3, 1, 1, 8))
    assert [fact.subscriber for fact in late.of(SubscriberCalled)] == [actor]


def test_a_caller_in_the_name_of_another_set_changes_nothing() -> None:
    """S33: the core asks whose it is, even where no ioctl did."""
    bench, got = with_a_pasid_of_vm1()
    pasid, ghost = got.pasid, got.incarnation
    bench.say(IOMMU, CORE, AttachSpid(1, pasid, ghost, 7))
    before = bench.hosts[CORE].state_hash()

    refused: dict[AnyMessage, Errno] = {
        GetPasid(1, 2, pasid, ghost, "test"): Errno.EACCES,
        GetIfOwned(1, "vm2", pasid, ghost, "test"): Errno.EPERM,
        FindPasid(1, 2, pasid): Errno.EACCES,
        FindBySpid(1, "vm2", 7, "test"): Errno.ENOENT,
    }
    for request, errno in refused.items():
        assert bench.say(KERNEL, CORE, request) == [(KERNEL, Refused(1, errno))]
    for request in (FreePasid(1, 2, pasid, ghost), FreeAllInSet(1, 2)):
        assert bench.say(KERNEL, CORE, request) == [(KERNEL, Done(1))]
    put = PutPasid(1, pasid, ghost, "owner")
    assert bench.say(KERNEL, CORE, put) == [(KERNEL, PutPasidGot(1, reclaimed=False))]

    assert bench.hosts[CORE].state_hash() == before
    assert not [fact for fact in bench.of(FreeRequested) if fact.effective]


def test_a_bind_in_the_name_of_another_vm_does_not_join_the_svm() -> None:
    """S33: the driver's own check, behind VFIO's; an unbind in that name finds nothing either."""
    bench, got = with_a_pasid_of_vm1(IOMMU, "dmar0")
    pasid, ghost = got.pasid, got.incarnation
    for vm, device in (("vm1", "dsa0"), ("vm2", "dsa0"), ("vm2", "dsa1")):
        assert bench.say(VFIO, IOMMU, AttachDomain(1, vm, device)) == [(VFIO, Done(1))]
    bind = BindGpasid(1, "vm1", "dsa0", pasid, ghost, gpasid=7, table=7)
    assert bench.say(VFIO, IOMMU, bind) == [(VFIO, Done(1))]
    before = {name: host.state_hash() for name, host in bench.hosts.items()}

    for device in ("dsa0", "dsa1"):
        theirs = BindGpasid(1, "vm2", device, pasid, ghost, gpasid=8, table=8)
        assert bench.say(KERNEL, IOMMU, theirs) == [(KERNEL, Refused(1, Errno.EPERM))]
        unbind = UnbindGpasid(1, "vm2", device, pasid, ghost)
        assert bench.say(KERNEL, IOMMU, unbind) == [(KERNEL, Done(1))]

    assert {name: host.state_hash() for name, host in bench.hosts.items()} == before


def test_a_free_that_comes_twice_reaches_the_holders_once() -> None:
    """S39, at the core itself: the first makes it pending, the second finds it so."""
    bench, got = with_a_pasid_of_vm1()
    bench.say(KERNEL, CORE, GetPasid(1, 1, got.pasid, got.incarnation, "test"))
    free = FreePasid(2, 1, got.pasid, got.incarnation)
    assert bench.say(VFIO, CORE, free) == bench.say(VFIO, CORE, free)
    assert [fact.effective for fact in bench.of(FreeRequested)] == [True, False]
    assert len(bench.of(NotificationSent)) == 2  # ALLOC and one FREE.

    put = PutPasid(3, got.pasid, got.incarnation, "test")
    assert bench.say(KERNEL, CORE, put) == [(KERNEL, PutPasidGot(3, reclaimed=True))]
