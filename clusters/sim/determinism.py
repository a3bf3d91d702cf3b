"""Is a schedule the same schedule everywhere?  Run it twice and see.

The second time is in a process with another hash seed, where every set of strings lists in another
order.  What differs is named: the step, and what the two histories say there.
"""

import os
from collections.abc import Sequence
from hashlib import blake2b
from itertools import zip_longest
from typing import Final

import msgspec
from msgspec import Struct

from clusters.sim.strategies import Order
from clusters.sim.world import Setup, simulate
from clusters.worker_processes import Processes
from clusters.workers import Here, Workers, cores
from protocol.errors import DivergedError
from protocol.history import Record, encode_record

HASH_SEEDS: Final = ("1", "2")
"""Of the second processes; the one that this process has not."""


def check(setup: Setup, seeds: Sequence[int], strategy: str = "random") -> None:
    """Each seed's run, as `check_orders`."""
    check_orders(setup, [Order(strategy, seed) for seed in seeds])


def check_orders(setup: Setup, orders: Sequence[Order], here: Workers | None = None) -> None:
    """Each schedule here and in another process; `DivergedError` names what differs first.

    `here`: who runs them first; there are as many other processes, but at most one for each core.
    """
    first = Here() if here is None else here
    number = max(1, min(first.count, len(orders), cores()))
    with Processes(number, hash_seed=_other()) as there:
        twice = [workers.map(digest, setup, orders) for workers in (there, first)]
        for order, theirs, ours in zip(orders, *twice, strict=True):
            if theirs != ours:
                _explain(setup, order, there)


def _other() -> str:
    """A hash seed that is not ours."""
    return next(seed for seed in HASH_SEEDS if seed != os.environ.get("PYTHONHASHSEED"))


def digest(setup: Setup, order: Order) -> str:
    """A hash of the whole history of a run."""
    hashed = blake2b(digest_size=16)
    for line in lines(setup, order):
        hashed.update(line)
    return hashed.hexdigest()


def lines(setup: Setup, order: Order) -> list[bytes]:
    """The whole history of a run."""
    records: list[Record] = []
    simulate(setup, order.seed, order.strategy, records.append)
    return [encode_record(record) for record in records]


def _explain(setup: Setup, order: Order, there: Workers) -> None:
    (theirs,) = there.map(lines, setup, [order])
    step, seed = 0, order.seed
    for one, other in zip_longest(lines(setup, order), theirs, fillvalue=b"nothing"):
        if one != other:
            raise DivergedError(
                f"seed {seed} is not the same schedule twice: they differ at step {step}, here"
                f" {one.decode()}, under another hash seed {other.decode()};"
                " usual causes: a set decides an order, a handler reads a clock or chance"
            )
        step = max(step, msgspec.json.decode(one, type=_Step).step)
    raise DivergedError(f"seed {seed} differed under another hash seed once, and then no more")


class _Step(Struct):
    """The step of a record."""

    step: int = 0
