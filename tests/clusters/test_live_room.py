"""A run has a bound on the disk: what is behind it is not written, and that is said."""

from pathlib import Path

from clusters.judge import Judge
from clusters.live.recorder import Recorder
from clusters.live.room import Room, taken
from protocol.facts import EntryCleared, EntryWritten, Event, PasidReclaimed
from protocol.facts.world import RunEnded
from protocol.history import Record, Stamp, encode_record
from protocol.machine import Machine

NOTHING = Machine((), (), ())
LIFE = Record(
    Stamp(actor="core", n=1, ts_ns=5, clock={"core": 1}), PasidReclaimed(1, 1, 1, 0, (), 0, 0, 0)
)
END = Record(Stamp(actor="supervisor", n=9, ts_ns=6, clock={"supervisor": 9}), RunEnded(True, 1))


def test_a_folder_is_full_when_its_files_have_the_bytes(tmp_path: Path) -> None:
    assert not Room(tmp_path, 100).full
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(100))
    assert taken(tmp_path) == 100
    assert Room(tmp_path, 100).full
    assert not Room(tmp_path, 101).full
    assert not Room(tmp_path, 0).full


def test_a_history_ends_where_there_is_no_room_and_everything_is_judged() -> None:
    line = len(encode_record(LIFE)) + 1
    written: list[bytes] = []
    recorder = Recorder(Judge(NOTHING, ()), written.append, room=2 * line)
    for _ in range(5):
        recorder(LIFE)
    recorder(END)
    recorder.end()
    assert recorder.cut
    assert len(written) == 2
    assert recorder.counts == {"records": 6, "lives": 5, "bound": 0}


def test_without_a_history_everything_is_judged_and_counted() -> None:
    recorder = Recorder(Judge(NOTHING, ()), None)
    recorder(LIFE)
    recorder(END)
    recorder.end()
    assert not recorder.cut
    assert recorder.counts == {"records": 2, "lives": 1, "bound": 0}


def test_pasids_are_bound_at_once_whatever_the_number_of_their_devices() -> None:
    recorder = Recorder(Judge(NOTHING, ()), None)
    written = [
        EntryWritten("dmar0", device, pasid, 1, "vm1", 1, False)
        for device, pasid in (("d1", 1), ("d2", 1), ("d1", 2))
    ]
    cleared = [EntryCleared("dmar0", device, 1, 1, "vm1", "vm1", "") for device in ("d1", "d2")]
    facts: list[Event] = [*written, *cleared, *written[:1]]
    for fact in facts:
        recorder(Record(LIFE.stamp, fact))
    assert recorder.counts["bound"] == 2
