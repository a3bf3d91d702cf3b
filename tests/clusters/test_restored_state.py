"""An actor's state is all there is to it: whoever is read back from bytes goes on as before.

After each input of a run each actor is restored from its own msgpack encoding; the copy then gets
the rest of the inputs, and must do and end as the original did.
"""

from typing import Final

import pytest

from clusters.cluster import Actor
from clusters.host import Answers, Host, Kept
from clusters.sim.strategies import make
from clusters.sim.world import Setup, World
from tests.sweep.scripts import SCRIPTS
from tests.worlds import assert_fine, world_of

pytestmark = pytest.mark.long

MIX: Final = """
title = "Two guests do whatever comes to their minds, good and bad"

[pool]
pasids = 3

[[machine.unit]]
name = "dmar0"
prq  = 1

[[machine.device]]
name = "dsa0"
unit = "dmar0"

[[machine.device]]
name = "dsa1"
unit = "dmar0"
wq   = "dedicated"

[guests]
count      = 2
groups     = [["dsa0", "dsa1"]]
operations = 12
mix        = { alloc = 3, bind = 5, enable = 3, ims = 2, dma = 4, fault = 4, unbind = 2, free = 3 }
misbehave  = ["free-before-unbind", "unbind-with-dma", "late-unbind", "double-free"]
"""
CASES: Final = [*[(text, 1) for text in SCRIPTS.values()], *[(MIX, seed) for seed in range(10)]]


def lived(setup: Setup, seed: int) -> World:
    """A run whose hosts keep all their inputs."""
    world = World(setup, make("random", seed))
    for host in world.hosts.values():
        host.keep_journal()
    assert_fine(world.run(), f"seed {seed}")
    return world


class Life:
    """An actor's inputs, with the state and the digest of what it did after each."""

    def __init__(self, host: Host, actor: Actor) -> None:
        assert host._journal is not None
        self.inputs: list[Kept] = host._journal
        self.states: list[bytes] = []
        self.did: list[bytes] = []
        again = Host(host.name, actor, Answers())
        for kept in self.inputs:
            self.did.append(done(again, kept))
            self.states.append(again.snapshot())
        assert self.states[-1] == host.snapshot(), "its inputs are not all that it depends on"


def done(host: Host, kept: Kept) -> bytes:
    """The next input with what chance said then; the digest of what the actor does."""
    message, sender, said = kept
    assert isinstance(host.chance, Answers)
    host.chance.load(said)
    host.take(message, sender)
    host.chance.finish()
    return host.digest()


@pytest.mark.parametrize(("text", "seed"), CASES, ids=[*SCRIPTS, *["mix"] * 10])
def test_who_is_restored_goes_on_like_the_original(text: str, seed: int) -> None:
    setup = world_of(text)
    world = lived(setup, seed)
    for name, actor in setup.actors().items():
        life = Life(world.hosts[name], actor)
        for k, state in enumerate(life.states, start=1):
            copy = Host(name, actor, Answers())
            copy.restore(state, k)
            assert copy.snapshot() == state, f"{name} after input {k}"
            for n, kept in enumerate(life.inputs[k:], start=k + 1):
                assert done(copy, kept) == life.did[n - 1], f"{name}, restored at {k}, input {n}"
            assert copy.snapshot() == life.states[-1], f"{name}, restored at {k}, at the end"
