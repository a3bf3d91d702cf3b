import pytest
from msgspec.structs import replace

from actors.guest import Guest
from actors.ioasid_core import IoasidCore
from actors.process import Process
from actors.vfio import Vfio
from clusters.cluster import ROLES, build, losses, names, openings, refuse_loss
from protocol.errors import ExperimentError
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import HostLost, ReleaseFds, Start
from protocol.plan import Plan

MACHINE = Machine(
    units=(Unit("dmar0"), Unit("dmar1")),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar1")),
    vms=(Vm("vm1", (("dsa0", "dsa1"),)), Vm("vm2", (("dsa1",),))),
)


def test_everybody_has_a_place_in_the_order_of_starting() -> None:
    assert names(MACHINE) == {
        "core": "core",
        "workqueue": "workqueue",
        "dmar0": "unit",
        "dmar1": "unit",
        "dsa0": "device",
        "dsa1": "device",
        "iommu": "iommu",
        "vdcm.dsa0": "vdcm",
        "vdcm.dsa1": "vdcm",
        "vfio": "vfio",
        "vm1.kvm": "kvm",
        "vm1.guest": "guest",
        "vm2.kvm": "kvm",
        "vm2.guest": "guest",
    }
    assert list(names(MACHINE)) == list(build(MACHINE, {}))


def test_a_cluster_is_built_of_the_sound_actors_and_each_guest_has_its_plan() -> None:
    plan = Plan(operations=3, mix={"alloc": 1})
    actors = build(MACHINE, {"vm2.guest": plan})
    for name, role in names(MACHINE).items():
        assert isinstance(actors[name], type(ROLES[role].of(MACHINE, name)))
    guest = actors["vm2.guest"]
    assert guest == Guest.of(MACHINE, "vm2.guest", plan)
    assert actors["vm1.guest"] == Guest.of(MACHINE, "vm1.guest")


def test_a_machine_with_processes_has_them_and_the_drivers_of_their_files() -> None:
    machine = replace(MACHINE, vms=(), processes=("proc1",))
    assert list(names(machine))[-4:] == ["vfio", "uacce.dsa0", "uacce.dsa1", "proc1"]
    plan = Plan(forked=True)
    assert build(machine, {"proc1": plan})["proc1"] == Process.of(machine, "proc1", plan)


def test_a_role_can_be_played_by_another_class() -> None:
    class Flawed(IoasidCore):
        pass

    actors = build(MACHINE, {}, {"core": Flawed})
    assert isinstance(actors["core"], Flawed)
    assert isinstance(actors["vfio"], Vfio)


def test_everybody_is_started_in_order() -> None:
    assert openings(["core", "vfio"]) == [("core", Start()), ("vfio", Start())]


def test_the_loss_of_a_guest_is_told_and_closes_its_files_at_all_who_have_them() -> None:
    living = ["core", "vfio", "vm1.kvm", "vdcm.dsa0", "vdcm.dsa1", "vm1.guest"]
    assert losses(MACHINE, "vm1.guest", living) == [
        *((name, HostLost("vm1.guest")) for name in living[:-1]),
        ("vfio", ReleaseFds("vm1")),
        ("vm1.kvm", ReleaseFds("vm1")),
        ("vdcm.dsa0", ReleaseFds("vm1")),
        ("vdcm.dsa1", ReleaseFds("vm1")),
    ]


def test_only_devices_of_the_vm_and_only_the_living_are_told_to_close_files() -> None:
    said = losses(MACHINE, "vm2.guest", ["vfio", "vdcm.dsa0", "vdcm.dsa1"])
    assert [name for name, message in said if isinstance(message, ReleaseFds)] == [
        "vfio",
        "vdcm.dsa1",
    ]


def test_the_loss_of_others_is_only_told() -> None:
    assert losses(MACHINE, "vm1.kvm", ["core", "vm1.guest"]) == [
        ("core", HostLost("vm1.kvm")),
        ("vm1.guest", HostLost("vm1.kvm")),
    ]


def test_err_the_core_and_the_driver_cannot_be_lost() -> None:
    actors = build(MACHINE, {})
    for name in ("core", "iommu"):
        with pytest.raises(ExperimentError, match=f"{name} cannot be lost"):
            refuse_loss(name, actors[name])
    refuse_loss("vm1.guest", actors["vm1.guest"])
