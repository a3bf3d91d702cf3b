import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from clusters.live.chronicle import first_sum, sealed_line
from clusters.live.reexecute import (
    CHRONICLE,
    JOURNALS,
    SETTING,
    Match,
    journal_path,
    reexecute,
)
from protocol.facts.world import (
    FaultBegun,
    HostCrashed,
    HostGone,
    HostStarted,
    MessageDelivered,
    MessageSent,
    RunEnded,
    RunStarted,
)
from protocol.history import Record
from protocol.names import Name
from tests.clusters.journal_hands import changed, vouched
from tests.live import toys
from tests.live.toys import NUMBERS, RING
from tests.live.without_ray import EACH, TWO_HOSTS, Wire, started

pytestmark = pytest.mark.long


def run(folder: Path, faults: Callable[[Wire], None] | None = None) -> Path:
    """A run folder, of a run without Ray."""
    wire = started(folder, TWO_HOSTS, seed=3)
    if faults is not None:
        faults(wire)
    wire.run()
    return wire.finish()


def crashes(wire: Wire) -> None:
    """Several, of both hosts."""
    for _ in range(6):
        for _ in range(wire.random.randint(1, 60)):
            wire.step()
        wire.crash(wire.random.choice(list(wire.hosts)))


def loss(wire: Wire) -> None:
    """One, in the middle."""
    for _ in range(100):
        wire.step()
    wire.lose("b")


def records_of(folder: Path) -> tuple[list[Record], Match]:
    records: list[Record] = []
    match = reexecute(folder, records.append)
    return records, match


def assert_happens_before(records: list[Record]) -> None:
    """Each input of an actor in order; each after the one that sent it, and having seen it."""
    done: dict[Name, int] = {}
    for record in records:
        stamp = record.stamp
        if not isinstance(record.fact, MessageDelivered):
            continue
        assert stamp.n == done.get(stamp.actor, 0) + 1
        done[stamp.actor] = stamp.n
        if stamp.cause:
            assert done[stamp.cause] >= stamp.cause_n
            assert record.saw(stamp.cause, stamp.cause_n)


@pytest.mark.parametrize("faults", [None, crashes, loss])
def test_a_run_re_executes_to_the_last_input(
    tmp_path: Path, faults: Callable[[Wire], None] | None
) -> None:
    records, match = records_of(run(tmp_path, faults))
    assert match.whole, match
    assert match.quiet
    assert match.total > NUMBERS
    assert isinstance(records[0].fact, RunStarted)
    assert isinstance(records[-1].fact, RunEnded)
    assert_happens_before(records)
    sent = [one.fact.id for one in records if isinstance(one.fact, MessageSent)]
    delivered = [one.fact.id for one in records if isinstance(one.fact, MessageDelivered)]
    named = [one for one in delivered if one]
    assert len(set(named)) == len(named)
    assert set(named) <= set(sent)
    if faults is not loss:
        assert set(named) == set(sent)


def test_crashes_are_in_the_history_where_they_happened(tmp_path: Path) -> None:
    records, match = records_of(run(tmp_path, crashes))
    assert sum(match.epochs.values()) == 6 + len(TWO_HOSTS.keys() & {"a", "c"})
    begun = [one for one in records if isinstance(one.fact, FaultBegun)]
    assert len(begun) == 6
    down: dict[Name, int] = {}
    for record in records:
        actor = record.stamp.actor
        match record.fact:
            case HostCrashed():
                down[actor] = record.stamp.n
            case HostStarted(recovered):
                assert down.pop(actor) == recovered
            case _:
                assert actor not in down, record
    assert not down


def test_nothing_of_a_lost_actor_comes_after_its_loss(tmp_path: Path) -> None:
    records, _ = records_of(run(tmp_path, loss))
    at = next(k for k, one in enumerate(records) if isinstance(one.fact, HostGone))
    assert records[at].stamp.actor == "b"
    assert all(one.stamp.actor != "b" for one in records[at + 1 :])


def test_a_history_is_the_same_each_time_it_is_derived(tmp_path: Path) -> None:
    folder = run(tmp_path, crashes)
    first, second = records_of(folder)[0], records_of(folder)[0]
    assert [repr(one) for one in first] == [repr(one) for one in second]


def test_err_other_code_diverges_at_the_first_other_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(tmp_path)
    monkeypatch.setattr(toys.Runner, "on_timer_fired", lambda _self, _out: None)
    match = reexecute(folder)
    assert not match.whole
    assert 0 < match.matched < match.total
    said = r"., input \d+ \(TimerFired from supervisor\) has other effects than when it was"
    assert re.match(said, match.divergence)


def test_err_an_answer_that_does_not_fit_diverges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run(tmp_path)
    monkeypatch.setattr(toys, "LIMIT", 7)
    match = reexecute(folder)
    assert re.search(r"asks for a number below 7: the journalled answer is \d+", match.divergence)


def edit(folder: Path, host: Name, statement: str) -> None:
    changed(journal_path(folder, host), statement)


def test_err_a_journal_without_its_end_is_incomplete(tmp_path: Path) -> None:
    """Cut so well that the journal itself does not show it: the chronicle knows."""
    folder = run(tmp_path)
    edit(folder, "left", "DELETE FROM log WHERE row > 500")
    vouched(journal_path(folder, "left"))
    match = reexecute(folder)
    assert not match.divergence
    assert not match.quiet
    assert 0 < match.matched < match.total
    assert any("left.sqlite: ends at row 500 of" in gap for gap in match.gaps)


def test_err_a_journal_with_a_hole_is_incomplete(tmp_path: Path) -> None:
    folder = run(tmp_path)
    edit(folder, "left", "DELETE FROM log WHERE row = 400")
    match = reexecute(folder)
    assert any("row 400 is missing" in gap for gap in match.gaps)
    assert match.matched < match.total


def test_err_a_flipped_bit_is_noticed(tmp_path: Path) -> None:
    folder = run(tmp_path)
    edit(folder, "left", "UPDATE log SET entry = CAST(entry || x'00' AS BLOB) WHERE row = 300")
    match = reexecute(folder)
    assert any("row 300 of" in gap and "checksum" in gap for gap in match.gaps)


def test_err_a_missing_journal_is_incomplete(tmp_path: Path) -> None:
    folder = run(tmp_path)
    journal_path(folder, "right").unlink()
    match = reexecute(folder)
    assert any("right.sqlite: the journal cannot be opened" in gap for gap in match.gaps)


def test_err_a_run_that_was_cut_off_is_incomplete(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    for _ in range(100):
        wire.step()
    for live in wire.hosts.values():
        live.journal.close()
    match = reexecute(tmp_path)
    assert match.matched == match.total > 0
    assert match.gaps == (f"{tmp_path}: the run was cut off before its end",)


Line = dict[str, object]


def rewrite(folder: Path, change: Callable[[list[Line]], object]) -> None:
    """By somebody who knows how its checksums are made."""
    path = folder / JOURNALS / CHRONICLE
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    its_sum, data = first_sum(), b""
    for line in lines:
        line.pop("sum")
        its_sum, sealed = sealed_line(its_sum, json.dumps(line).encode())
        data += sealed
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines.pop(2), "line 3 is missing; 4 is there"),
        (lambda lines: lines[1].update(ts_ns="now"), "not a line of a run's chronicle"),
        (lambda lines: lines[1].update(line="x"), "not a line of a run's chronicle"),
        (lambda lines: lines[5].update(hash="00"), "comes to another state than it had"),
        (lambda lines: lines[5].update(n=3), "comes to another state than it had"),
        (lambda lines: lines[5].update(actor="x"), "'x' is not an actor of this run"),
        (lambda lines: lines[-2].update(host="x"), "'x' is not a host of this run"),
        (lambda lines: lines[-2].update(tail="00"), "not the journal that was collected"),
        (lambda lines: lines.pop(), "the run was cut off before its end"),
    ],
)
def test_err_a_changed_chronicle_is_noticed(
    tmp_path: Path, change: Callable[[list[Line]], object], said: str
) -> None:
    folder = run(tmp_path)
    rewrite(folder, change)
    match = reexecute(folder)
    assert not match.whole
    assert any(said in one for one in [match.divergence, *match.gaps]), match


def test_err_a_torn_chronicle_is_incomplete(tmp_path: Path) -> None:
    folder = run(tmp_path)
    path = folder / JOURNALS / CHRONICLE
    path.write_bytes(path.read_bytes()[:-5])
    match = reexecute(folder)
    assert match.gaps == (f"{path}: ends in the middle of a line",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "not the setting of a run"),
        ('{"cast": {"machine": 1}}', "not the setting of a run"),
        (None, "cannot be read: No such file"),
    ],
)
def test_err_a_folder_without_its_setting(tmp_path: Path, text: str | None, said: str) -> None:
    folder = run(tmp_path)
    path = folder / JOURNALS / SETTING
    path.unlink()
    if text is not None:
        path.write_text(text)
    match = reexecute(folder)
    assert match.total == 0
    assert any(said in gap for gap in match.gaps)


@pytest.mark.parametrize("said", ["os:system", "actors.core", "subprocess:Popen"])
def test_err_a_stored_run_imports_only_what_is_ours(tmp_path: Path, said: str) -> None:
    folder = run(tmp_path)
    path = folder / JOURNALS / SETTING
    setting = json.loads(path.read_text())
    setting["cast"]["toys"] = said
    path.write_text(json.dumps(setting))
    match = reexecute(folder)
    assert any("is not the name of a class of ours" in gap for gap in match.gaps)


def test_err_a_placement_outside_the_folder_is_refused(tmp_path: Path) -> None:
    folder = run(tmp_path)
    path = folder / JOURNALS / SETTING
    setting = json.loads(path.read_text())
    setting["placement"]["a"] = "../../left"
    path.write_text(json.dumps(setting))
    match = reexecute(folder)
    assert any("a host's name is not one" in gap for gap in match.gaps)


def test_every_actor_on_a_host_of_its_own_re_executes_as_well(tmp_path: Path) -> None:
    wire = started(tmp_path, EACH, seed=5)
    crashes(wire)
    wire.run()
    match = reexecute(wire.finish())
    assert match.whole, match
    assert set(match.epochs) == set(RING)
