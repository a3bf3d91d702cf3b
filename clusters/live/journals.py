"""Where journals are: one file per host, or a server for hosts that share no disk."""

from pathlib import Path

from clusters.live.journal import Journal, SqliteJournal
from clusters.live.redis_journal import RedisJournal, is_address
from protocol.names import Name


def make_journal(at: str, host: Name, durability: str) -> None:
    """An empty one, before its host begins."""
    if is_address(at):
        RedisJournal.make(at, host, durability)
    else:
        SqliteJournal.make(Path(at), host, durability)


def open_journal(at: str, host: Name, durability: str = "process") -> Journal:
    """A host's own, or for whoever seals an actor."""
    if is_address(at):
        return RedisJournal(at, host, durability)
    return SqliteJournal(Path(at), host, durability)


def keep_journal(at: str, host: Name, path: Path) -> None:
    """Nobody writes it any more: from here on it is the file `path`, and nothing else."""
    if is_address(at):
        RedisJournal(at, host).keep(path)
    else:
        SqliteJournal(Path(at), host).keep()
