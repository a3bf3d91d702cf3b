"""Is a schedule the same schedule everywhere?  Run it twice and see.

The second time is in a process with another hash seed, where every set of strings lists in another
order.  What differs is named: the step, and what the two histories say there.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from importlib import import_module
from itertools import zip_longest
from typing import Final, cast

import msgspec
from msgspec import Struct

from clusters.cluster import Actor, ActorClass, Role
from clusters.nemesis import Nemesis
from clusters.sim.faults import Healable
from clusters.sim.strategies import Order
from clusters.sim.world import Setup, simulate
from protocol.errors import DivergedError, ExperimentError
from protocol.history import Record, encode_record
from protocol.machine import Machine
from protocol.names import Name
from protocol.plan import Plan
from protocol.properties.property import Property

SECONDS_MAX: Final = 600
MODULE: Final = "clusters.sim.determinism"


class Errand(Struct, frozen=True):
    """What the other process is asked: a setup as text, and schedules.  `whole`: all records."""

    machine: Machine
    plans: dict[Name, Plan]
    classes: dict[Role, str]
    cast: str
    properties: tuple[str, ...]
    nemeses: tuple[Nemesis, ...]
    numbers: dict[str, int]
    heal: Healable
    delay_steps: tuple[int, int]
    words: dict[str, str]
    orders: tuple[Order, ...]
    whole: bool = False


NUMBERS: Final = ("max_steps", "quiet_steps", "stop_at_first")
WORDS: Final = ("semantics", "experiment", "revision", "run")


def check(setup: Setup, seeds: Sequence[int], strategy: str = "random") -> None:
    """Each seed's run, as `check_orders`."""
    check_orders(setup, [Order(strategy, seed) for seed in seeds])


def check_orders(setup: Setup, orders: Sequence[Order]) -> None:
    """Each schedule here and in one other process; `DivergedError` names what differs first."""
    here = [digest_of(setup, order.seed, order.strategy) for order in orders]
    there = _ask(_errand(setup, orders, whole=False))
    for order, ours, theirs in zip(orders, here, there, strict=True):
        if ours != theirs.decode():
            _explain(setup, order)


def digest_of(setup: Setup, seed: int, strategy: str = "random") -> str:
    """A hash of the whole history of a run."""
    digest = blake2b(digest_size=16)
    for line in _lines(setup, Order(strategy, seed)):
        digest.update(line)
    return digest.hexdigest()


def _lines(setup: Setup, order: Order) -> Iterator[bytes]:
    records: list[Record] = []
    simulate(setup, order.seed, order.strategy, records.append)
    return map(encode_record, records)


def _explain(setup: Setup, order: Order) -> None:
    there = _ask(_errand(setup, [order], whole=True))
    step, seed = 0, order.seed
    for ours, theirs in zip_longest(_lines(setup, order), there, fillvalue=b"nothing"):
        if ours != theirs:
            raise DivergedError(
                f"seed {seed} is not the same schedule twice: they differ at step {step}, here"
                f" {ours.decode()}, under another hash seed {theirs.decode()};"
                " usual causes: a set decides an order, a handler reads a clock or chance"
            )
        step = max(step, msgspec.json.decode(ours, type=_Step).step)
    raise DivergedError(f"seed {seed} differed under another hash seed once, and then no more")


class _Step(Struct):
    """The step of a record."""

    step: int = 0


# --- The other process ----------------------------------------------------------------------------


def _errand(setup: Setup, orders: Sequence[Order], *, whole: bool) -> Errand:
    return Errand(
        machine=setup.machine,
        plans=dict(setup.plans),
        classes={role: _path(its) for role, its in setup.classes.items()},
        cast=_path(setup.cast) if setup.cast is not None else "",
        properties=tuple(_path(each) for each in setup.properties),
        nemeses=setup.nemeses,
        numbers={key: int(getattr(setup, key)) for key in NUMBERS},
        heal=setup.heal,
        delay_steps=setup.delay_steps,
        words={key: getattr(setup, key) for key in WORDS},
        orders=tuple(orders),
        whole=whole,
    )


def _setup(errand: Errand) -> Setup:
    numbers = errand.numbers
    return Setup(
        machine=errand.machine,
        plans=errand.plans,
        classes=cast("Mapping[Role, ActorClass]", _named(errand.classes)),
        cast=cast("Callable[[], dict[Name, Actor]] | None", _found(errand.cast)),
        properties=cast("tuple[type[Property], ...]", tuple(map(_found, errand.properties))),
        nemeses=errand.nemeses,
        max_steps=numbers["max_steps"],
        quiet_steps=numbers["quiet_steps"],
        heal=errand.heal,
        stop_at_first=bool(numbers["stop_at_first"]),
        delay_steps=errand.delay_steps,
        **errand.words,
    )


def _named(paths: Mapping[Role, str]) -> dict[Role, object]:
    return {role: _found(path) for role, path in paths.items()}


def _path(thing: object) -> str:
    """How another process finds a class or a function."""
    path = f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', '<unnamed>')}"
    if "<" in path:
        raise ExperimentError(
            f"{path} cannot be imported by name, so another process cannot run it: move it to the"
            " top of a module"
        )
    return path


def _found(path: str) -> object:
    if not path:
        return None
    module, _, names = path.partition(":")
    thing: object = import_module(module)
    for name in names.split("."):
        thing = getattr(thing, name)
    return thing


def _ask(errand: Errand) -> list[bytes]:
    """Run the errand in a process with another hash seed; its answer, line by line."""
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    path = os.pathsep.join(dict.fromkeys([os.getcwd(), *filter(None, sys.path)]))  # noqa: PTH109
    done = subprocess.run(
        [sys.executable, "-m", MODULE],
        input=msgspec.json.encode(errand),
        capture_output=True,
        check=False,
        timeout=SECONDS_MAX,
        env={**os.environ, "PYTHONHASHSEED": other, "PYTHONPATH": path},
    )
    assert done.returncode == 0, f"the second run failed: {done.stderr.decode(errors='replace')}"
    return done.stdout.splitlines()


def main() -> None:
    """What the other process does: the errand on its standard input."""
    errand = msgspec.json.decode(sys.stdin.buffer.read(), type=Errand)
    setup = _setup(errand)
    for order in errand.orders:
        if errand.whole:
            lines: Iterator[bytes] = _lines(setup, order)
        else:
            lines = iter([digest_of(setup, order.seed, order.strategy).encode()])
        for line in lines:
            sys.stdout.buffer.write(line + b"\n")


if __name__ == "__main__":
    main()
