"""Which properties are judged on which machine: those that some history of it could break."""

from typing import Final

from msgspec.structs import replace

from protocol.machine import IOMMUFD, Device, Machine, Unit, Vm
from protocol.properties import PROPERTIES
from protocol.properties.concerning import OF_PROCESSES, concerns

OLD: Final = Machine(
    units=(Unit("dmar0"),), devices=(Device("dsa0", "dmar0"),), vms=(Vm("vm1", (("dsa0",),)),)
)
NATIVE: Final = replace(OLD, processes=("proc1",))
MODERN: Final = replace(OLD, vms=(), stack=IOMMUFD, callers=("caller1",))
VFIO: Final = replace(MODERN, devices=(Device("dsa0", "dmar0", driver="vfio"),))


def test_every_property_is_judged_somewhere() -> None:
    for one in PROPERTIES:
        assert any(concerns(one, machine) for machine in (NATIVE, VFIO)), one.name


def test_what_only_another_stack_can_break_is_not_judged() -> None:
    names = {one.name: one for one in PROPERTIES}
    assert not concerns(names["bonds-add-up"], OLD)
    assert concerns(names["bonds-add-up"], MODERN)
    assert not concerns(names["references-add-up"], MODERN)
    assert concerns(names["references-add-up"], OLD)
    for both in ("dma-in-its-own-life", "operations-end", "outcomes-as-scripted", "no-deadlock"):
        assert concerns(names[both], OLD)
        assert concerns(names[both], MODERN)


def test_what_only_processes_of_the_host_can_break_is_judged_where_there_are_some() -> None:
    assert [one for one in PROPERTIES if concerns(one, NATIVE) and not concerns(one, OLD)] == [
        one for one in PROPERTIES if one in OF_PROCESSES
    ]


def test_what_only_device_files_of_vfio_can_break_is_judged_where_there_are_some() -> None:
    (one,) = [one for one in PROPERTIES if concerns(one, VFIO) and not concerns(one, MODERN)]
    assert one.invariant == "I35"
