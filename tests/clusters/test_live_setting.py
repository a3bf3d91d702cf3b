import json
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.cluster import names
from clusters.live.cast import Cast, Setting, imported, read_setting, write_setting
from clusters.live.operations_log import OperationsLog
from clusters.live.placement import hosts_of, place
from protocol.errors import ExperimentError
from protocol.machine import Device, Machine, Unit, Vm
from protocol.plan import Plan, Step

MACHINE = Machine(
    units=(Unit("dmar0"), Unit("dmar1")),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar1")),
    vms=(Vm("vm1", (("dsa0", "dsa1"),)), Vm("vm2", (("dsa0",),))),
)


def test_packed_puts_together_what_lives_together() -> None:
    assert hosts_of(place(names(MACHINE), "packed")) == {
        "core": ["core", "workqueue", "iommu", "vfio"],
        "dmar0": ["dmar0", "dmar1"],
        "dsa0": ["dsa0", "vdcm.dsa0"],
        "dsa1": ["dsa1", "vdcm.dsa1"],
        "vm1": ["vm1.kvm", "vm1.guest"],
        "vm2": ["vm2.kvm", "vm2.guest"],
    }


def test_each_gives_everybody_a_host() -> None:
    placement = place(names(MACHINE), "each")
    assert placement == {name: name for name in names(MACHINE)}


def test_err_a_placement_that_is_not_known() -> None:
    with pytest.raises(ExperimentError, match=r"placement 'wide' is not known \(placements: pack"):
        place(names(MACHINE), "wide")


def test_err_a_host_that_cannot_name_a_file() -> None:
    with pytest.raises(ExperimentError, match=r"'\.\./a' cannot be the name of a host"):
        place({"../a": "toy"}, "each")


def test_a_setting_is_read_back_as_it_was(tmp_path: Path) -> None:
    plans = {"vm1.guest": Plan(steps=(Step("alloc", "p"),), mix={"alloc": 1}, operations=3)}
    cast = Cast(MACHINE, plans, {"core": "actors.ioasid_core:IoasidCore"})
    setting = Setting(cast, place(cast.roles(), "packed"))
    write_setting(tmp_path / "setting.json", setting)
    assert read_setting(tmp_path / "setting.json") == setting


def test_the_actors_of_a_cast_are_those_of_the_machine() -> None:
    cast = Cast(MACHINE, {}, {"core": "actors.ioasid_core:IoasidCore"})
    assert list(cast.actors()) == list(cast.roles()) == list(names(MACHINE))


@pytest.mark.parametrize("said", ["actors.ioasid_core:Nobody", "actors.nothing:Core"])
def test_err_a_class_that_is_not_there(said: str) -> None:
    with pytest.raises(ExperimentError, match="cannot be imported"):
        imported(said)


def test_the_operational_log_has_one_object_per_line(tmp_path: Path) -> None:
    log = OperationsLog(tmp_path / "logs", "core-7", host="core", pid=7)
    log.bind(epoch=2)
    log("host.started", recovered=3)
    try:
        int("no")
    except ValueError:
        log.exception("host.failed")
    log.close()
    first, second = map(json.loads, (tmp_path / "logs" / "core-7.jsonl").read_text().splitlines())
    assert first.pop("ts_ns") > 0
    assert first == {
        "host": "core", "pid": 7, "epoch": 2, "recovered": 3, "event": "host.started",
    }  # fmt: skip
    assert second["level"] == "error"
    assert "ValueError: invalid" in second["trace"]


def test_the_live_world_is_imported_without_ray() -> None:
    code = "import sys, clusters.live; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
