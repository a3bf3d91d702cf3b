"""What `bench` measures of journals: how fast they take an input, how soon a killed host is back.

The reference of an append is the same disk or the same server asked for as little as possible, that
of a recovery the reading of what it reads.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from clusters.cluster import openings
from clusters.host import Host
from clusters.live.cast import Cast
from clusters.live.chance import LiveChance
from clusters.live.journal import Input
from clusters.live.journals import make_journal, open_journal
from clusters.live.live_host import SNAPSHOT_INPUTS, LiveHost
from clusters.live.mail import Mail
from clusters.live.reading import read_journal
from clusters.live.redis_journal import connect
from clusters.live.redis_server import redis_server, why_none
from experiments.harness.config import load, machine_of, plans_of
from experiments.harness.measuring import SEED, Amounts, Effort, Measurement, Yardstick
from protocol.messages import Told
from protocol.names import SUPERVISOR, Name
from protocol.wire import WIRE_FORMAT, Frame, encode

FILE: Final = Path(__file__).resolve().parents[1] / "ioasid" / "free_before_unbind.toml"
HOST: Final = "all"
PREFIX: Final = "pasidlab-bench-"
APPEND_NOISE: Final = 0.4
"""Disks and servers are shared with others, even where processors are not."""
RECOVERY_NOISE: Final = 0.3
ROUNDS: Final = 3
TICK_NS: Final = 1_000_000_000
PLAN: Final = "guests.operations=1000000"
"""More than anybody waits for."""


class Nowhere:
    """The way out of a host that has nobody to talk to."""

    def frames(self, host: Name, data: bytes) -> None:
        """Nobody is there."""

    def hello(self, host: Name, data: bytes, *, asks: bool) -> None:
        """Nobody is there."""

    def again(self) -> None:
        """Whoever runs it sees that by itself."""


def silent(event: str, **fields: object) -> None:
    """Nobody reads it."""


def journals(effort: Effort) -> Iterator[Measurement]:
    """Appends of one input each, and the recovery of a host with many."""
    yield on_disk("process", "a write to a file", effort)
    yield on_disk("power", "a write to a file, synced", effort)
    if not why_none():
        yield on_server(effort)
    yield recovery(effort)


# --- Appends --------------------------------------------------------------------------------------


def on_disk(durability: str, beside: str, effort: Effort) -> Measurement:
    """An input is durable, beside as many bytes that are."""

    def measure() -> Iterator[Amounts]:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX)))
            append = appender(str(folder / f"{HOST}.sqlite"), durability, stack)
            fd = os.open(folder / "plain", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            stack.callback(os.close, fd)

            def write() -> None:
                os.write(fd, bytes(256))
                if durability == "power":
                    os.fdatasync(fd)

            yield in_turns(append, write, effort)

    yardstick = Yardstick(f"journal, {durability}", "appends/s", beside, APPEND_NOISE)
    return Measurement((yardstick,), measure)


def on_server(effort: Effort) -> Measurement:
    """An input is on the server, beside a call of it that does nothing."""

    def measure() -> Iterator[Amounts]:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=PREFIX))
            address = stack.enter_context(redis_server(Path(folder))).address
            append = appender(f"{address}#bench", "process", stack)
            redis = connect(address)
            stack.callback(redis.close)

            def ping() -> None:
                redis.ping()

            yield in_turns(append, ping, effort)

    return Measurement(
        (Yardstick("journal, Redis", "appends/s", "a PING of it", APPEND_NOISE),), measure
    )


def appender(at: str, durability: str, stack: ExitStack) -> Callable[[], None]:
    """Appends one input to a new journal."""
    make_journal(at, HOST, durability)
    journal = open_journal(at, HOST, durability)
    stack.callback(journal.close)
    epoch = journal.begin(os.getpid())
    told = Told("x", 1, 0, 0)
    entries = [Input("x", 1, epoch, "y", 1, 1, (1, 1), told, (), bytes(16), time.time_ns())]
    return lambda: journal.append(entries)


def in_turns(work: Callable[[], None], reference: Callable[[], None], effort: Effort) -> Amounts:
    """How often in a second each can be done, the best of some rounds."""
    best = least = 0.0
    for _ in range(effort.rounds):
        least = max(least, by_the_clock(reference, effort.seconds / 5))
        best = max(best, by_the_clock(work, effort.seconds))
    return best, least


def by_the_clock(work: Callable[[], None], seconds: float) -> float:
    """A disk and a server take their time without taking the processor's."""
    began, done, spent = time.perf_counter(), 0, 0.0
    while spent < seconds or not done:
        work()
        done += 1
        spent = time.perf_counter() - began
    return done / spent


# --- Recovery -------------------------------------------------------------------------------------


def recovery(effort: Effort) -> Measurement:
    """A host with all actors is killed after so many inputs, and is what it was."""

    def measure() -> Iterator[Amounts]:
        for save_every in (2 * effort.messages, min(effort.messages // 10, SNAPSHOT_INPUTS)):
            with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
                at = str(Path(folder) / f"{HOST}.sqlite")
                live(at, effort.messages, save_every)
                times = [(coming_back(at), reading(at)) for _ in range(min(effort.rounds, ROUNDS))]
            best, reference = map(min, zip(*times, strict=True))
            yield best, reference

    beside = "reading that journal"
    return Measurement(
        (
            Yardstick(f"recovery, {effort.messages:,} inputs", "s", beside, RECOVERY_NOISE),
            Yardstick("recovery, from a snapshot", "s", beside, RECOVERY_NOISE),
        ),
        measure,
    )


def everybody(at: str, save_every: int = SNAPSHOT_INPUTS) -> LiveHost:
    """All actors of an experiment on one host, as its journal says."""
    experiment = load(FILE, (PLAN,))
    who = Cast(machine_of(experiment, str(FILE)), plans_of(experiment, str(FILE)))
    host = LiveHost(
        {name: Host(name, actor) for name, actor in who.actors().items()},
        Mail(HOST, dict.fromkeys(who.roles(), HOST), Nowhere()),
        open_journal(at, HOST),
        silent,
    )
    host.save_every = save_every
    host.recover(os.getpid(), LiveChance(SEED, (), {}))
    return host


def live(at: str, inputs: int, save_every: int) -> LiveHost:
    """A life of at least so many inputs, up to where it is killed."""
    make_journal(at, HOST, "process")
    host = everybody(at, save_every)
    for number, (name, message) in enumerate(openings(host.hosts), start=1):
        said = ((number, number), ("", 0, 0), message)
        frame = Frame(WIRE_FORMAT, 1, SUPERVISOR, name, 1, 0, *said)
        host.take(host.mail.seal.close(encode(frame)))
    now_ns = 0
    while sum(one.n for one in host.hosts.values()) < inputs:
        assert host.failure is None, host.failure
        if host.mail.local:
            host.go_on()
        else:
            now_ns += TICK_NS
            host.tick(now_ns)
    host.journal.close()
    return host


def coming_back(at: str) -> float:
    """Seconds until the next incarnation is there."""
    began = time.perf_counter()
    host = everybody(at)
    spent = time.perf_counter() - began
    host.journal.close()
    return spent


def reading(at: str) -> float:
    """Seconds to read, check and type all entries."""
    began = time.perf_counter()
    for _ in read_journal(Path(at)):
        pass
    return time.perf_counter() - began
