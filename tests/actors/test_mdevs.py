"""What the users of an mdev do with its name: to VFIO the mdev, to all others its parent."""

from actors.guest import Guest
from actors.kvm import Kvm
from actors.vdcm import Vdcm
from clusters.cluster import losses, names
from protocol.errors import Errno
from protocol.facts import EnqcmdIssued, EnqcmdRetired
from protocol.machine import Device, Machine, Mdev, Unit, Vm
from protocol.messages import (
    DescriptorDone,
    Done,
    EnqcmdWriteGot,
    FreePasidRange,
    GuestEnqcmd,
    GuestEnqcmdGot,
    HostLost,
    NotifyBind,
    OpenContainer,
    OpenVdev,
    OpenVm,
    Refused,
    ReleaseFds,
    RequestPasidGot,
    Start,
    Status,
)
from protocol.names import CORE, PASID_COUNT, SUPERVISOR, VFIO, Name
from protocol.plan import Plan, Step
from tests.actors.guest_hands import pairs
from tests.helpers import step

GUEST = "vm1.guest"
KVM = "vm1.kvm"
VDCM = "vdcm.dsa0"
MACHINE = Machine(
    units=(Unit("dmar0"), Unit("dmar1")),
    devices=(Device("dsa0", "dmar1"), Device("dsa1", "dmar0")),
    vms=(Vm("vm1", (("m0",), ("m1",))), Vm("vm2", (("dsa1",),))),
    mdevs=(Mdev("m0", "dsa0"), Mdev("m1", "dsa0")),
)


def booted(*steps: Step) -> tuple[Guest, list[tuple[Name, object]]]:
    """A guest whose files are open, and what it asked for at boot."""
    guest = Guest.of(MACHINE, GUEST, Plan(steps))
    asked = pairs(step(guest, Start(), SUPERVISOR, name=GUEST))
    for to, message in asked:
        assert isinstance(message, OpenVm | OpenVdev | OpenContainer)
        step(guest, Done(message.call), to, name=GUEST)
    return guest, [(to, type(message)) for to, message in asked]


# --- The machine ----------------------------------------------------------------------------------


def test_a_machine_knows_what_is_behind_an_mdev() -> None:
    assert MACHINE.parents == {"m0": "dsa0", "m1": "dsa0"}
    assert MACHINE.device("m1").name == "dsa0"
    assert MACHINE.unit_of("m1") == "dmar1"
    assert MACHINE.hardware_of("vm1") == ("dsa0",)
    assert MACHINE.vms_on("dsa0") == ("vm1",)


def test_an_mdev_is_no_actor() -> None:
    assert set(names(MACHINE)) & {"m0", "m1", "vdcm.m0", "vdcm.m1"} == set()
    assert list(Vdcm.of(MACHINE, VDCM).vdevs) == ["vm1"]


def test_each_file_of_a_lost_guest_is_closed_once() -> None:
    said = losses(MACHINE, GUEST, [*names(MACHINE)])
    closed = [name for name, message in said if isinstance(message, ReleaseFds)]
    assert closed == [VFIO, KVM, VDCM]


# --- The guest ------------------------------------------------------------------------------------


def test_a_guest_opens_the_vdcm_once_and_each_container() -> None:
    _, asked = booted()
    opened = [(VDCM, OpenVdev), (VFIO, OpenContainer), (VFIO, OpenContainer)]
    assert asked == [(KVM, OpenVm), *opened]


def test_a_guest_submits_through_the_mdev_and_enables_the_parent_s_queue() -> None:
    guest, _ = booted(Step("alloc", "p"), Step("dma", "p", device="m1"))
    ((to, _),) = pairs(step(guest, RequestPasidGot(1, 17, 170), VFIO, name=GUEST))
    assert to == VDCM
    ((to, command),) = pairs(step(guest, Done(1), VDCM, name=GUEST))
    assert to == KVM
    assert isinstance(command, GuestEnqcmd)
    assert command.device == "m1"
    step(guest, GuestEnqcmdGot(command.call, accepted=True), KVM, name=GUEST)
    step(guest, DescriptorDone("dsa0", command.tag, Status.SUCCESS), "dsa0", name=GUEST)
    assert guest.tasks == {}


def test_what_was_in_a_lost_parent_will_not_be_completed() -> None:
    guest, _ = booted(Step("alloc", "p"), Step("dma", "p", device="m1"))
    step(guest, RequestPasidGot(1, 17, 170), VFIO, name=GUEST)
    step(guest, Done(1), VDCM, name=GUEST)
    step(guest, GuestEnqcmdGot(1, accepted=True), KVM, name=GUEST)
    step(guest, HostLost("dsa0"), SUPERVISOR, name=GUEST)
    assert guest.tasks == {}


def test_free_all_names_every_pasid_and_forgets_them() -> None:
    guest, _ = booted(Step("alloc", "p"), Step("free-all"))
    asked = pairs(step(guest, RequestPasidGot(1, 17, 170), VFIO, name=GUEST))
    assert asked == [(VFIO, FreePasidRange(1, 1, PASID_COUNT - 1))]
    step(guest, Done(1), VFIO, name=GUEST)
    assert not guest.variables["p"].live


def test_a_script_with_open_vm_opens_kvm_when_it_says_so() -> None:
    guest, asked = booted(Step("alloc", "p"), Step("open-vm", expect=("EBUSY",)))
    assert OpenVm not in [kind for _, kind in asked]
    assert pairs(step(guest, RequestPasidGot(1, 17, 170), VFIO, name=GUEST)) == [(KVM, OpenVm(1))]
    step(guest, Refused(1, Errno.EBUSY), KVM, name=GUEST)
    assert guest.tasks == {}


# --- KVM ------------------------------------------------------------------------------------------


def submitted() -> tuple[Kvm, list[tuple[Name, object]]]:
    """A vCPU has written a command to m1."""
    kvm = Kvm.of(MACHINE, KVM)
    step(kvm, OpenVm(1), GUEST, name=KVM)
    step(kvm, Done(1), CORE, name=KVM)
    kvm.write_entry(NotifyBind(1, 7, 70, 9, 3, "vm1"), step(kvm, Start(), SUPERVISOR, name=KVM))
    out = step(kvm, GuestEnqcmd(4, "m1", 9, 1, 5, mapped=True), GUEST, name=KVM)
    assert out.facts == [EnqcmdIssued("vm1", "m1", 7, 70)]
    return kvm, [(to, type(message).__name__) for to, message in pairs(out)]


def test_a_command_to_an_mdev_goes_to_its_parent() -> None:
    kvm, sent = submitted()
    assert sent == [("dsa0", "EnqcmdWrite")]
    out = step(kvm, EnqcmdWriteGot(1, accepted=True), "dsa0", name=KVM)
    assert out.facts == [EnqcmdRetired("vm1", "m1", 7, 70)]


def test_a_command_to_an_mdev_of_a_lost_parent_is_not_accepted() -> None:
    kvm, _ = submitted()
    out = step(kvm, HostLost("dsa0"), SUPERVISOR, name=KVM)
    assert pairs(out) == [(GUEST, GuestEnqcmdGot(4, accepted=False))]
    out = step(kvm, GuestEnqcmd(5, "m1", 9, 1, 5, mapped=True), GUEST, name=KVM)
    assert pairs(out) == [(GUEST, GuestEnqcmdGot(5, accepted=False))]
