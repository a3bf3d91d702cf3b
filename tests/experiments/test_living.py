from pathlib import Path

import pytest

from actors.guest.script import spread
from clusters.live.redis_journal import hidden
from clusters.live.redis_server import why_none
from experiments.harness import living
from experiments.harness.config import at_large, load, machine_of, plans_of
from tests.experiments.command import Command

FILE = Path(__file__).resolve().parents[2] / "experiments" / "chaos" / "kill_everyone.toml"


def test_the_servers_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments are copied into run folders."""
    server = "redis://10.0.0.1:6379/0"
    monkeypatch.delenv(living.AUTH, raising=False)
    assert living._with_auth(server) == server
    monkeypatch.setenv(living.AUTH, "me:a@b/c")
    assert living._with_auth(server) == "redis://me:a%40b%2Fc@10.0.0.1:6379/0"
    assert hidden(living._with_auth(server)) == server
    assert living._with_auth("") == ""
    monkeypatch.setenv(living.AUTH, "secret")
    assert living._with_auth(server) == "redis://:secret@10.0.0.1:6379/0"


@pytest.mark.skipif(bool(why_none()), reason=why_none())
def test_err_chaos_on_a_server_that_is_not_there_ends_before_ray_begins(
    pasidlab: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(living.AUTH, "me:secret")
    words = ("chaos", str(FILE), "--runs-dir", str(tmp_path))
    ran = pasidlab(*words, "--set", 'live.journal="redis://127.0.0.1:1/0"')
    assert ran.code == 5
    assert "cluster failed: redis://127.0.0.1:1/0 core: the journal's server fails: " in ran.err
    told = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert told
    assert not any(b"secret" in one for one in told)
    assert "secret" not in ran.err + ran.out


def test_hosts_have_the_vms_and_the_rounds_that_the_simulator_does_not_have() -> None:
    small = load(FILE.with_name("lives_20000.toml"))
    large = at_large(small)
    assert [len(machine_of(one).vms) for one in (small, large)] == [3, 64]
    assert [plans_of(one)["vm1.guest"].operations for one in (small, large)] == [10, 1200]
    assert at_large(large) == large
    assert at_large(load(FILE)).guests.count == load(FILE).guests.count


def test_a_step_of_many_variables_is_many_steps_and_more_of_them_on_hosts() -> None:
    small = load(FILE.with_name("bound_at_once.toml"))
    large = at_large(small)
    assert [plans_of(one)["vm3.guest"].steps[0].count for one in (small, large)] == [2, 256]
    assert [step.variable for step in spread(plans_of(small)["vm3.guest"].steps[1])] == ["p1", "p2"]
    assert large.process[0].steps[2].endswith("x256 -> any(ok, ENOSPC)")
    assert large.process[0].name == "vm*.guest"
    assert list(plans_of(large)) == [f"vm{k}.guest" for k in range(1, 65)]
