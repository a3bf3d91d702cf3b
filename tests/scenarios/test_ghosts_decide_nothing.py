"""Incarnations are for the history: a run in which they are all alike is the same run (§1.4)."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import pytest

from actors.ioasid_core import IoasidCore
from clusters.sim.world import Setup, simulate
from experiments.harness.config import load
from experiments.harness.setup import setup_of
from protocol.effects import Out
from protocol.history import Record
from protocol.names import Incarnation, Name, Pasid

pytestmark = pytest.mark.long

EXPERIMENTS: Final = sorted(
    (Path(__file__).resolve().parents[2] / "experiments/ioasid").glob("*.toml")
)
GHOSTS: Final = ("incarnation", "table_incarnation", "answerer")


class Faceless(IoasidCore):
    """Every life is life 1."""

    def allocate(self, pasid: Pasid, number: int, owner: Name, out: Out) -> Incarnation:
        super().allocate(pasid, number, owner, out)
        life = self.lives[pasid]
        assert life is not None
        self.incarnations = life.incarnation = 1
        return life.incarnation


def without_ghosts(record: Record) -> tuple[object, ...]:
    """Who stated what when, but of which life."""
    fact = msgspec.to_builtins(record.fact)
    detail = fact.get("detail", {})
    for ghost in (*GHOSTS, "requests"):  # Of a ring the detail is one text, ghosts and all.
        fact.pop(ghost, None)
        detail.pop(ghost, None)
    return (record.stamp.step, record.stamp.actor, record.stamp.n, sorted(fact.items(), key=str))


def history(setup: Setup, seed: int) -> list[tuple[object, ...]]:
    """Everything that is stated and delivered, without judgement."""
    records: list[Record] = []
    simulate(setup, seed, history=records.append)
    return [without_ghosts(record) for record in records]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_lives_that_look_alike_change_nothing(path: Path) -> None:
    setup = replace(setup_of(load(path), str(path)), properties=())
    faceless = replace(setup, classes={"core": Faceless})
    for seed in range(2):
        told, blank = history(setup, seed), history(faceless, seed)
        assert len(told) == len(blank) > 0
        for one, other in zip(told, blank, strict=True):
            assert one == other
