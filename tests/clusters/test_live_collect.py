"""How a live run prepares, and takes in, what its hosts wrote: without the hosts."""

from pathlib import Path
from random import Random

import pytest

from clusters.live.chronicle import AnyLine, Chronicle, Kept, read_chronicle
from clusters.live.journals import make_journal, open_journal
from clusters.live.live_setup import LiveSetup, ignore
from clusters.live.redis_server import redis_server, why_none
from clusters.live.reexecute import CHRONICLE, JOURNALS, SETTING, journal_path
from clusters.live.run import LiveRun
from protocol.errors import ClusterError, IncompleteError, UnreadableError
from protocol.facts.world import HostCrashed, RunEnded
from protocol.machine import Machine
from protocol.messages import HostLost
from tests.clusters.journal_hands import changed, entry, read
from tests.live.toys import RING
from tests.live.without_ray import TOYS

pytestmark = pytest.mark.long


def prepared(folder: Path, journal: str = "", durability: str = "process") -> LiveRun:
    setup = LiveSetup(
        machine=Machine((), (), ()), plans={}, seed=7, folder=folder, placement="each",
        toys=TOYS, journal=journal, durability=durability,
    )  # fmt: skip
    run = LiveRun(setup, ignore)
    run.prepare()
    return run


def lived(run: LiveRun) -> Chronicle:
    """Each host writes a little, and is killed."""
    for host in RING:
        journal = open_journal(run._journal(host), host)
        journal.begin(pid=1)
        journal.append([entry(1, host), entry(2, host)])
        journal.close()
    chronicle = Chronicle(run.setup.folder / JOURNALS / CHRONICLE)
    chronicle.told("a", 1, HostLost("x"))
    return chronicle


def kept(folder: Path) -> list[Kept]:
    lines = read_chronicle(folder / JOURNALS / CHRONICLE)
    return [line for line in lines if isinstance(line, Kept)]


@pytest.mark.parametrize("durability", ["process", "power"])
def test_every_journal_is_there_before_any_host_is(tmp_path: Path, durability: str) -> None:
    run = prepared(tmp_path / "run", durability=durability)
    journals = tmp_path / "run" / JOURNALS
    names = {path.name for path in journals.iterdir()}
    assert names == {SETTING, *(f"{host}.{end}" for host in RING for end in ("mark", "sqlite"))}
    assert {run._journal(host) for host in RING} == {str(journals / f"{h}.sqlite") for h in RING}


def test_journals_are_taken_in_as_single_files(tmp_path: Path) -> None:
    run = prepared(tmp_path / "run")
    run._collect(lived(run))
    assert [one.count for one in kept(run.setup.folder)] == [3] * len(RING)
    assert not [*(run.setup.folder / JOURNALS).glob("*-wal")]
    assert run.reasons == []


@pytest.mark.skipif(bool(why_none()), reason=why_none())
def test_journals_on_a_server_are_taken_in_as_files(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        run = prepared(tmp_path / "run", server.address)
        assert not [*(run.setup.folder / JOURNALS).glob("*.sqlite")]
        run._collect(lived(run))
    assert run.reasons == []
    assert [one.count for one in kept(run.setup.folder)] == [3] * len(RING)
    assert read(journal_path(run.setup.folder, "b"))[1:] == [entry(1, "b"), entry(2, "b")]


@pytest.mark.skipif(bool(why_none()), reason=why_none())
def test_err_a_server_that_is_gone_keeps_no_other_journal_from_being_said(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        run = prepared(tmp_path / "run", server.address)
        chronicle = lived(run)
    run._collect(chronicle)
    assert len(run.reasons) == len(RING)
    assert all("the journal's server fails" in reason for reason in run.reasons)
    match = run.conclude().match
    assert match.matched == 0
    assert any("a.sqlite: the journal cannot be opened" in gap for gap in match.gaps)


def test_err_a_damaged_journal_is_a_gap_and_the_others_are_taken_in(tmp_path: Path) -> None:
    run = prepared(tmp_path / "run")
    chronicle = lived(run)
    changed(journal_path(run.setup.folder, "b"), "DELETE FROM log WHERE row = 2")
    run._collect(chronicle)
    assert len(run.reasons) == 1
    assert "b.sqlite: row 2 is missing" in run.reasons[0]
    assert [one.host for one in kept(run.setup.folder)] == ["a", "c", "d"]
    result = run.conclude()
    assert not result.match.whole
    assert any("b.sqlite: row 2 is missing" in gap for gap in result.match.gaps)


def test_err_a_place_that_cannot_be_written_is_the_clusters_failure(tmp_path: Path) -> None:
    (tmp_path / "a.mark").mkdir()
    with pytest.raises(ClusterError, match=r"a\.mark: cannot be written"):
        make_journal(str(tmp_path / "a.sqlite"), "a", "process")


# --- The chronicle --------------------------------------------------------------------------------


def lines_or_sentence(path: Path) -> list[AnyLine] | str:
    try:
        return list(read_chronicle(path))
    except (IncompleteError, UnreadableError) as error:
        return str(error)


def test_err_no_damage_to_a_chronicle_changes_what_is_read(tmp_path: Path) -> None:
    """A bit, a byte, a line: refused.  Only lines of its end can be missing unseen: see `Ended`."""
    path = tmp_path / CHRONICLE
    chronicle = Chronicle(path)
    for n in range(1, 20):
        chronicle.told("core", n, HostLost("vm1.guest"))
        chronicle.stated(HostCrashed(), "core", "core", n)
    chronicle.stated(RunEnded(quiet=True, steps=7))
    whole = lines_or_sentence(path)
    assert isinstance(whole, list)
    data = path.read_bytes()
    lines = data.splitlines(keepends=True)
    random = Random(1)
    for _ in range(300):
        at = random.randrange(len(data))
        k, j = random.sample(range(len(lines) - 1), 2)
        swapped = list(lines)
        swapped[k], swapped[j] = lines[j], lines[k]
        damaged = random.choice(
            [
                data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :],
                data[:at] + data[at + 1 :],
                data[:at] + random.randbytes(1) + data[at:],
                b"".join(lines[:k] + lines[k + 1 :]),
                b"".join(lines[: k + 1] + lines[k:]),
                b"".join(swapped),
            ]
        )
        path.write_bytes(damaged)
        found = lines_or_sentence(path)
        assert isinstance(found, str), damaged
        assert str(path) in found


def test_err_a_chronicle_of_an_older_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / CHRONICLE
    path.write_bytes(
        b'{"line":"told","serial":1,"ts_ns":1,"to":"a","sequence":1,"message":["x"]}\n'
    )
    with pytest.raises(UnreadableError, match="no checksum: not a line of a chronicle of format 2"):
        list(read_chronicle(path))
