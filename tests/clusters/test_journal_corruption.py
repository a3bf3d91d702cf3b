"""A thousand damaged journals: each is refused, or read as if nothing had happened to it.

The damage is done to what lies in a run folder after a kill: the file, its WAL, its index, its
mark.  Reading and recovering must both say so, and must leave every byte as it is.
"""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import pytest

from clusters.live.journal import Began, Entry, Snapshot, SqliteJournal
from protocol.errors import IncompleteError, UnreadableError
from protocol.names import Name
from tests.clusters.journal_hands import entry, opened, read

pytestmark = pytest.mark.long

HOSTS: Final = ("left", "right")
ROWS: Final = 300
PAGE: Final = 4096
Damage = Callable[[Random, Path], None]


def killed(folder: Path, host: Name) -> tuple[Path, Path]:
    """A journal as its killed host left it, half of it in the WAL, and as it was some time ago."""
    path = folder / "work" / f"{host}.sqlite"
    journal = opened(path, host)
    journal.begin(pid=1)
    journal.append([entry(n, host) for n in range(1, ROWS // 2)])
    journal.save(b"early" * 200)
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for n in range(ROWS // 2, ROWS, 10):
        journal.append([entry(k, host) for k in range(n, n + 10)])
        if n < 2 * ROWS // 3:
            journal.save(b"state" * 400)
            earlier = copied(path.parent, folder / f"earlier-{host}")
    end = copied(path.parent, folder / f"killed-{host}")
    journal.close()
    shutil.rmtree(path.parent)
    return end, earlier


def copied(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    return Path(shutil.copytree(source, target))


def kept(folder: Path, host: Name) -> Path:
    """The same journal, collected at the end of its run."""
    target = copied(folder / f"killed-{host}", folder / f"kept-{host}")
    SqliteJournal(target / f"{host}.sqlite", host).keep()
    return target


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stock")
    for host in HOSTS:
        killed(folder, host)
        kept(folder, host)
    return folder


# --- What can happen to a file --------------------------------------------------------------------


def one_file(random: Random, folder: Path) -> Path:
    return random.choice(sorted(folder.iterdir()))


def rewritten(path: Path, change: Callable[[bytearray], object]) -> None:
    data = bytearray(path.read_bytes())
    if data:
        change(data)
    path.write_bytes(data)


def flipped_bit(random: Random, folder: Path) -> None:
    def change(data: bytearray) -> None:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)

    rewritten(one_file(random, folder), change)


def flipped_bit_of_a_header(random: Random, folder: Path) -> None:
    def change(data: bytearray) -> None:
        data[random.randrange(min(100, len(data)))] ^= 1 << random.randrange(8)

    rewritten(one_file(random, folder), change)


def overwritten(random: Random, folder: Path) -> None:
    def change(data: bytearray) -> None:
        at, size = random.randrange(len(data)), random.randint(1, 2 * PAGE)
        end = min(at + size, len(data))
        data[at:end] = random.choice([bytes(end - at), random.randbytes(end - at)])

    rewritten(one_file(random, folder), change)


def page_in_place_of_another(random: Random, folder: Path) -> None:
    def change(data: bytearray) -> None:
        pages = max(len(data) // PAGE, 1)
        one, two = (PAGE * random.randrange(pages) for _ in range(2))
        data[one : one + PAGE] = data[two : two + PAGE]

    rewritten(one_file(random, folder), change)


def bytes_taken_out(random: Random, folder: Path) -> None:
    def change(data: bytearray) -> None:
        at = random.randrange(len(data))
        del data[at : at + random.randint(1, PAGE)]

    rewritten(one_file(random, folder), change)


def bytes_put_in(random: Random, folder: Path) -> None:
    def change(data: bytearray) -> None:
        at = random.randint(0, len(data))
        data[at:at] = random.randbytes(random.randint(1, PAGE))

    rewritten(one_file(random, folder), change)


def cut_short(random: Random, folder: Path) -> None:
    def change(data: bytearray) -> None:
        at = random.randrange(len(data))
        del data[random.choice([at, at // PAGE * PAGE]) :]

    rewritten(one_file(random, folder), change)


def missing(random: Random, folder: Path) -> None:
    one_file(random, folder).unlink()


def of_the_other_host(random: Random, folder: Path) -> None:
    """One file of the two, or all of them."""
    host = next(folder.glob("*.sqlite")).stem
    other = HOSTS[1 - HOSTS.index(host)]
    source = folder.parent / "stock" / folder.name.replace(host, other)
    files = sorted(folder.iterdir())
    for path in files if random.random() < 0.3 else [random.choice(files)]:
        theirs = source / path.name.replace(host, other)
        shutil.copy(theirs, path)


def of_an_earlier_time(random: Random, folder: Path) -> None:
    """The file, the WAL or both; with its mark it would be a journal that was cut off there."""
    host = next(folder.glob("*.sqlite")).stem
    source = folder.parent / "stock" / f"earlier-{host}"
    for path in random.sample([p for p in sorted(folder.iterdir()) if p.suffix != ".mark"], 1):
        if random.random() < 0.5 or path.suffix == ".sqlite":
            for theirs in source.glob(f"{path.stem}.sqlite*"):
                shutil.copy(theirs, folder)
        else:
            shutil.copy(source / path.name, path)


def changed_row(random: Random, folder: Path) -> None:
    """By the means of SQLite, so that its pages are in order."""
    path = next(folder.glob("*.sqlite"))
    one, two = random.sample(range(1, ROWS + 1), 2)
    statement = random.choice(
        [
            "DELETE FROM log WHERE row = :one",
            "DELETE FROM log WHERE row > :one",
            "UPDATE log SET row = -:one WHERE row = :one",
            "UPDATE log SET entry = (SELECT entry FROM log WHERE row = :two) WHERE row = :one",
            "UPDATE log SET entry = CAST(entry || x'00' AS BLOB) WHERE row = :one",
            "UPDATE log SET tail = (SELECT tail FROM log WHERE row = :two) WHERE row = :one",
            "UPDATE log SET entry = 'text' WHERE row = :one",
            "INSERT INTO log SELECT :new, entry, tail FROM log WHERE row = :one",
            "UPDATE head SET count = :one",
            "UPDATE head SET epoch = :one",
            "UPDATE head SET tail = x'00112233445566778899aabbccddeeff'",
            "DELETE FROM head",
            "UPDATE snapshot SET row = :one",
            "UPDATE snapshot SET state = x'00'",
            "UPDATE snapshot SET sum = 'text'",
            "DELETE FROM snapshot",
            "PRAGMA user_version = 1",
            "PRAGMA application_id = 7",
            "CREATE TABLE more (x)",
            "DROP TABLE snapshot",
        ]
    )
    db = sqlite3.connect(path)
    db.execute(statement, {"one": one, "two": two, "new": ROWS + 2})
    db.commit()
    db.close()


DAMAGES: Final[tuple[Damage, ...]] = (
    flipped_bit, flipped_bit_of_a_header, overwritten, page_in_place_of_another, bytes_taken_out,
    bytes_put_in, cut_short, missing, of_the_other_host, of_an_earlier_time, changed_row,
)  # fmt: skip


# --- What must come of it -------------------------------------------------------------------------


def content(folder: Path) -> dict[str, bytes]:
    """All but the index of the WAL, which whoever opens it makes anew."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.endswith("-shm")}


def entries_or_sentence(path: Path) -> list[Entry] | str:
    try:
        return read(path)
    except (IncompleteError, UnreadableError) as error:
        return str(error)


def recovered(path: Path, host: Name) -> tuple[list[Entry], Snapshot | None] | str:
    """What the next incarnation would live through, with and without the snapshot."""
    try:
        journal = SqliteJournal(path, host)
    except (IncompleteError, UnreadableError) as error:
        return str(error)
    try:
        journal.begin(pid=2)
        return list(journal.read(journal.snapshot())), journal.snapshot()
    except (IncompleteError, UnreadableError) as error:
        return str(error)
    finally:
        journal.close()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_err_none_of_a_thousand_damaged_journals_is_half_read(
    tmp_path: Path, stock: Path, damage: Damage
) -> None:
    random = Random(damage.__name__)
    (tmp_path / "stock").symlink_to(stock)
    refused = same = 0
    for _ in range(92):
        state, host = random.choice(["killed", "kept"]), random.choice(HOSTS)
        whole = read(stock / f"kept-{host}" / f"{host}.sqlite")
        folder = copied(stock / f"{state}-{host}", tmp_path / f"{state}-{host}")
        path = folder / f"{host}.sqlite"
        damage(random, folder)

        before = content(folder)
        found = entries_or_sentence(path)
        assert content(folder) == before
        if isinstance(found, str):
            assert host in found
            refused += 1
        else:
            assert found == whole
            same += 1
        lived = recovered(path, host)
        if isinstance(lived, str):
            assert isinstance(found, str)  # What can be read as a whole can be recovered.
            assert content(folder) == before
            continue
        entries, snapshot = lived
        assert isinstance(entries.pop(), Began)
        after = snapshot.row if snapshot else 0
        assert entries == whole[after:]
    assert refused + same == 92
    assert refused > 0
