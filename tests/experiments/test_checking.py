"""A history read from its file: whole, with gaps, with lines that are wrong."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from clusters.live.reexecute import reexecute
from clusters.sim.world import simulate
from experiments.harness.concluding import encoded
from experiments.harness.histories import LINE_BYTES_MAX, DoubtfulError, History
from protocol.errors import IncompleteError, UnreadableError
from protocol.facts import Event, MessageDelivered, OpInvoked, RunEnded, RunStarted
from protocol.history import HISTORY_FORMAT, Record, Stamp, encode_record
from protocol.machine import Machine
from tests.experiments.command import RIGHT
from tests.live.without_ray import TWO_HOSTS, started
from tests.worlds import world_of

BEGIN = RunStarted(HISTORY_FORMAT, "x", "", 7, "sim", "sound", Machine((), (), ()))
DELIVERED = MessageDelivered("", "Start", "", {})
STATED = OpInvoked(1, "bind")


def world(fact: Event, n: int = 1) -> Record:
    return Record(Stamp(actor="supervisor", n=n), fact)


def of(actor: str, n: int, fact: Event = DELIVERED, cause: str = "", cause_n: int = 0) -> Record:
    return Record(Stamp(actor=actor, n=n, cause=cause, cause_n=cause_n), fact)


def end(steps: int, records: int = 0) -> Record:
    return world(RunEnded(quiet=True, steps=steps, records=records), n=9)


def history(tmp_path: Path, records: Iterable[Record]) -> History:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"".join(encode_record(record) + b"\n" for record in records))
    return History(path)


def test_a_whole_history_is_read(tmp_path: Path) -> None:
    records = [
        world(BEGIN), of("a", 1), of("a", 1, STATED), of("b", 1, cause="a", cause_n=1), of("a", 2),
        end(3, 6),
    ]  # fmt: skip
    found = history(tmp_path, records)
    assert len(list(found.read())) == found.count == 6
    assert found.ended == RunEnded(quiet=True, steps=3, records=6)


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([of("a", 2)], "line 2: input 1 of a is missing; all before is judged"),
        ([of("a", 1), of("a", 3)], "line 3: input 2 of a is missing; all before is judged"),
        ([of("a", 1, STATED)], "line 2: input 1 of a is missing"),
        ([of("a", 1), of("a", 2, STATED)], "line 3: input 2 of a is missing"),
        ([of("a", 1, cause="b", cause_n=4)], "line 2: input 4 of b, the cause of this one, is"),
        ([of("a", 1)], "the end is missing: no run.ended record"),
    ],
)
def test_what_is_missing_is_named_and_what_follows_is_not_read(
    tmp_path: Path, records: list[Record], sentence: str
) -> None:
    found = history(tmp_path, [world(BEGIN), *records])
    read: list[Record] = []
    with pytest.raises(IncompleteError, match=sentence) as error:
        read.extend(found.read())
    assert not isinstance(error.value, DoubtfulError)
    assert len(read) == found.count


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([of("a", 1), end(2)], "has 1 deliveries, of 2 that there were"),
        ([of("a", 1), end(1, 4)], "has 3 records, of 4 that were written"),
        ([of("a", 1), of("a", 1, STATED), end(1, 3)], "has 4 records, of 3 that were written"),
    ],
)
def test_where_nobody_knows_which_line_is_missing_all_is_in_doubt(
    tmp_path: Path, records: list[Record], sentence: str
) -> None:
    with pytest.raises(DoubtfulError, match=sentence):
        list(history(tmp_path, [world(BEGIN), *records]).read())


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([of("a", 1), of("a", 1)], "line 3: input 1 of a after its input 1: the lines are not in"),
        ([of("a", 1), of("a", 2), of("a", 1, STATED)], "line 4: input 1 of a after its input 2"),
        ([of("a", 0, STATED)], "line 2: input 0 of a after its input 0"),
        ([world(BEGIN)], "line 2: a second history begins here"),
        ([end(0), end(0)], "line 3: comes after run.ended"),
        ([end(0), of("a", 1)], "line 3: comes after run.ended"),
        ([end(0), world(STATED)], "line 3: comes after run.ended"),
    ],
)
def test_err_what_is_wrong_is_refused_with_its_line(
    tmp_path: Path, records: list[Record], sentence: str
) -> None:
    with pytest.raises(UnreadableError, match=sentence):
        list(history(tmp_path, [world(BEGIN), *records]).read())


def test_err_a_line_without_an_end_is_not_read_into_memory(tmp_path: Path) -> None:
    found = history(tmp_path, [world(BEGIN)])
    with found.path.open("ab") as file:
        file.write(b" " * (LINE_BYTES_MAX * 2))
    with pytest.raises(UnreadableError, match="line 2: longer than 1048576 bytes"):
        list(found.read())


def test_the_count_in_the_file_is_that_of_its_records() -> None:
    records: list[Record] = []
    simulate(world_of(RIGHT), 7, history=records.append)
    lines = encoded(tuple(records)).splitlines()
    assert f'"records":{len(lines)},'.encode() in lines[-1]


def test_a_history_from_the_simulator_has_no_gap(tmp_path: Path) -> None:
    records: list[Record] = []
    simulate(world_of(RIGHT), 7, history=records.append)
    (tmp_path / "history.jsonl").write_bytes(encoded(tuple(records)))
    assert len(list(History(tmp_path / "history.jsonl").read())) == len(records)


def test_a_history_from_live_hosts_has_no_gap(tmp_path: Path) -> None:
    """Crashes and all: what re-execution writes comes in an order of causes."""
    wire = started(tmp_path, TWO_HOSTS, seed=3)
    for _ in range(3):
        for _ in range(40):
            wire.step()
        wire.crash(wire.random.choice(list(wire.hosts)))
    wire.run()
    records: list[Record] = []
    reexecute(wire.finish(), records.append)
    found = history(tmp_path, records)
    assert len(list(found.read())) == len(records) > 100
