"""Where actors are: what the words mean, and how few hosts there can be."""

import pytest

from clusters.cluster import names
from clusters.live.placement import hosts_of, place
from protocol.errors import ExperimentError
from protocol.machine import Device, Machine, Unit, Vm

MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"),),
    vms=tuple(Vm(f"vm{k}", (("dsa0",),)) for k in (1, 2, 3)),
)
ROLES = names(MACHINE)
GUESTS = [f"vm{k}.guest" for k in (1, 2, 3)]


def test_packed_puts_each_vm_and_each_device_on_a_host() -> None:
    hosts = hosts_of(place(ROLES, "packed"))
    assert sorted(hosts) == ["core", "dmar0", "dsa0", "vm1", "vm2", "vm3"]
    assert hosts["vm2"] == ["vm2.kvm", "vm2.guest"]


def test_packed_puts_a_modern_kernel_on_a_host() -> None:
    unit, device = Unit("dmar0"), Device("d1", "dmar0", pasids=16, driver="idxd")
    modern = Machine((unit,), (device,), (), stack="iommufd", processes=("proc1",), callers=("c1",))
    hosts = hosts_of(place(names(modern), "packed"))
    assert sorted(hosts) == ["c1", "core", "d1", "dmar0", "proc1"]
    assert hosts["d1"] == ["d1", "idxd.d1"]


def test_kernel_leaves_only_the_guests_outside() -> None:
    hosts = hosts_of(place(ROLES, "kernel"))
    assert sorted(hosts) == ["core", *GUESTS]
    assert {"dmar0", "dsa0", "vdcm.dsa0", "vm1.kvm"} < set(hosts["core"])


@pytest.mark.parametrize("how", ["packed", "each", "kernel"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_others_share_what_hosts_there_are(how: str, count: int) -> None:
    hosts = hosts_of(place(ROLES, how, count))
    assert len(hosts) == count
    assert sorted(actor for actors in hosts.values() for actor in actors) == sorted(ROLES)
    if count > 1:
        assert hosts["core"] == hosts_of(place(ROLES, how))["core"]


def test_more_hosts_than_there_is_need_for_are_not_made() -> None:
    assert place(ROLES, "packed", 99) == place(ROLES, "packed")


def test_err_another_word_is_refused() -> None:
    with pytest.raises(ExperimentError, match=r"placement 'spread' is not known \(placements: pac"):
        place(ROLES, "spread")
