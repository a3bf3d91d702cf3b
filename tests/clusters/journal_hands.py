"""Journals as they lie in a run folder, and what a forger can do to one."""

import sqlite3
from pathlib import Path

from clusters.live.journal import Entry, Head, Input, SqliteJournal
from clusters.live.mark import MarkFile
from clusters.live.reading import read_journal
from protocol.messages import HostLost
from protocol.names import Name


def entry(n: int, actor: Name = "core", epoch: int = 1) -> Input:
    message = HostLost("vm1.guest")
    return Input(actor, n, epoch, "vfio", 1, n, (n, 1), message, (0, 1), b"d" * 16, 1_000 + n)


def opened(path: Path, host: Name = "core", durability: str = "process") -> SqliteJournal:
    """A journal that was just made."""
    SqliteJournal.make(path, host, durability)
    return SqliteJournal(path, host, durability)


def written(folder: Path, count: int = 5, host: Name = "core") -> Path:
    """A journal of one incarnation with some rows, as it lies in a run folder."""
    path = folder / f"{host}.sqlite"
    journal = opened(path, host)
    journal.begin(pid=7)
    journal.append([entry(n, host) for n in range(1, count + 1)])
    journal.keep()
    return path


def changed(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def vouched(path: Path) -> None:
    """Head and mark are made to fit the rows again: only who knows more can tell."""
    db = sqlite3.connect(path)
    count, tail = db.execute("SELECT row, tail FROM log ORDER BY row DESC LIMIT 1").fetchone()
    host, epoch = db.execute("SELECT host, epoch FROM head").fetchone()
    head = Head.of(host, epoch, count, tail)
    db.execute("UPDATE head SET count = ?, tail = ?, sum = ?", (count, tail, head.sum))
    db.commit()
    db.close()
    mark = MarkFile(path)
    mark.set(head.mark)
    mark.close()


def read(path: Path) -> list[Entry]:
    return list(read_journal(path))
