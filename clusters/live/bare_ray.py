"""What Ray itself does in the same time, for `bench`: calls, and coming back, with nothing of ours.

A program that sends each message in a call of its own cannot be faster than this.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec
import ray

from clusters.live.link_faults import Lasting
from clusters.live.live_host import Status
from clusters.live.processes import process
from clusters.live.ray_cluster import RayCluster
from clusters.live.ray_host import Charge, Spot, answer, begin
from protocol.errors import ClusterError

MESSAGE: Final = bytes(120)
"""As long as a message of the protocol with where it comes from and where it goes."""
SECONDS_MAX: Final = 120.0
ASK_SECONDS: Final = 0.02
IMPORT_SECONDS: Final = 1.0
"""A process that Ray knows of imports what it is to have imported, which nothing shows."""


class Bare:
    """Takes calls, makes calls, and remembers nothing."""

    def take(self, data: bytes) -> None:
        """One message."""

    def who(self) -> int:
        """The process that it is."""
        return os.getpid()

    def send(self, there: Any, count: int) -> None:  # noqa: ANN401  Ray's own
        """So many messages, a call for each, none waited for but the last."""
        for _ in range(count - 1):
            there.take.remote(MESSAGE)
        ray.get(there.take.remote(MESSAGE))


@contextmanager
def bare(count: int) -> Iterator[Sequence[Any]]:
    """So many of them."""
    remote: Any = ray.remote(Bare)
    actors = [remote.options(num_cpus=0, max_restarts=-1).remote() for _ in range(count)]
    try:
        ray.get([one.who.remote() for one in actors])
        yield actors
    finally:
        for one in actors:
            ray.kill(one, no_restart=True)


def pipelined(count: int) -> float:
    """Messages a second that two processes get through to a third: one call each."""
    with bare(3) as (there, *senders):
        began = time.perf_counter()
        ray.get([one.send.remote(there, count // 2) for one in senders])
        return count / (time.perf_counter() - began)


def round_trips(count: int) -> list[float]:
    """Seconds of calls whose end was waited for, sorted."""
    with bare(1) as (there,):
        times = []
        for _ in range(count):
            began = time.perf_counter()
            ray.get(there.take.remote(MESSAGE))
            times.append(time.perf_counter() - began)
        return sorted(times)


def reborn() -> float:
    """Seconds from the end of a process to the first answer of the next one, as Ray makes it."""
    with bare(1) as (there,):
        pid: int = ray.get(there.who.remote())

        def new() -> bool:
            return bool(ray.get(there.who.remote(), timeout=ASK_SECONDS * 50) != pid)

        return until_back(pid, new)


def host_reborn(charge: Charge, cluster: RayCluster) -> float:
    """The same of a host of ours: it is back when it has lived its journal again."""
    handle = begin(charge, Spot(cluster.node_id))

    def status() -> Status:
        calm, lasting = False, msgspec.msgpack.encode(Lasting())
        said = answer(handle.tick.remote(0, calm, lasting), SECONDS_MAX)
        return msgspec.msgpack.decode(said, type=Status)

    try:
        first = status()
        while not cluster.spares.keep(cluster.node_id, 1).result():  # As a run has one.
            time.sleep(ASK_SECONDS)
        time.sleep(IMPORT_SECONDS)
        return until_back(first.pid, lambda: status().epoch > first.epoch)
    finally:
        ray.kill(handle, no_restart=True)


def until_back(pid: int, new: Callable[[], bool]) -> float:
    """Kill the process; how long it takes until another answers."""
    killed = process(pid)
    assert killed is not None
    began = time.perf_counter()
    killed.kill()
    while time.perf_counter() - began < SECONDS_MAX:
        with suppress(ray.exceptions.RayError, ClusterError):
            if new():
                break
        time.sleep(ASK_SECONDS / 10)
    return time.perf_counter() - began
