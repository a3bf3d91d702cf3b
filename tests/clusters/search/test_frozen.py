"""Values as bytes and back: nothing is lost, nothing depends on the process, words stay whole."""

import os
import subprocess
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.sim.search.frozen import (
    Ghost,
    Plain,
    Renaming,
    Unfreezable,
    freeze,
    ghosts_in,
    in_order,
    plain,
    thaw,
    with_ghosts,
)
from clusters.sim.strategies import make
from clusters.sim.world import World
from protocol.errors import Errno
from protocol.facts import PasidAllocated
from protocol.history import Record
from protocol.lifecycle import State
from protocol.messages import AnyMessage, Refused
from protocol.names import Incarnation
from tests.clusters.search.test_world_space import SETUPS
from tests.clusters.toys import User

ROOT: Final = Path(__file__).resolve().parents[3]
NAMES: Final = ("vm1", "vm2", "vm3")

words: Final = st.text(max_size=8) | st.sampled_from([*NAMES, "vm1.guest", "vm1:wq", "svm1"])
keys: Final = words | st.integers(-(1 << 40), 1 << 40) | st.tuples(words, st.integers(0, 9))
atoms: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | words
    | st.sampled_from(State)
    | st.sampled_from(Errno)
    | st.integers(0, 50).map(Ghost)
    | st.builds(Refused, st.integers(0, 9), st.sampled_from(Errno))
    | st.builds(User, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
)
values: Final = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.lists(inner, max_size=4).map(deque)
        | st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)


def same(one: object, other: object) -> bool:
    """Equal, and of the same types all the way down, with dicts in the same order."""
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, list | tuple | deque):
        assert isinstance(other, list | tuple | deque)
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        assert isinstance(other, dict)
        return same(list(one.items()), list(other.items()))
    return one == other


@given(values)
def test_what_is_thawed_is_what_was_frozen(value: object) -> None:
    assert same(thaw(freeze(value)), value)
    assert freeze(thaw(freeze(value))) == freeze(value)


@given(values)
def test_a_thawed_value_shares_nothing_with_the_first_one(value: object) -> None:
    frozen = freeze(value)
    assert not shared(value, thaw(frozen))


def shared(one: object, other: object) -> bool:
    """Whether some part that can change is one object in both."""
    if isinstance(one, list | deque | dict | User) and one is other:
        return True
    if isinstance(one, list | tuple | deque):
        assert isinstance(other, list | tuple | deque)
        return any(map(shared, one, other))
    if isinstance(one, dict):
        assert isinstance(other, dict)
        return any(map(shared, one.values(), other.values()))
    return False


@given(values, values)
def test_different_values_have_different_bytes(one: object, other: object) -> None:
    assert (freeze(one) == freeze(other)) == same(one, other)


@given(st.dictionaries(keys, values, max_size=5), st.randoms(use_true_random=False))
def test_a_dict_has_one_unordered_form_and_its_ordered_form_keeps_its_order(
    value: dict[object, object], random: Random
) -> None:
    items = list(value.items())
    random.shuffle(items)
    other = dict(items)
    assert freeze(value, ordered=False) == freeze(other, ordered=False)
    assert in_order(freeze(value)) == in_order(freeze(other)) == freeze(value, ordered=False)
    assert (freeze(value) == freeze(other)) == same(value, other)


@pytest.mark.parametrize("name", SETUPS)
def test_all_that_a_world_is_made_of_comes_back(name: str) -> None:
    """Messages, facts, actors and what properties remember, after a real run."""
    setup = SETUPS[name]()
    records: list[Record] = []
    told: list[AnyMessage] = []
    world = World(setup, make("random", 1, setup.nemeses), records.append)
    for host in world.hosts.values():
        host.keep_journal()
    world.run()
    for host in world.hosts.values():
        told += [message for message, _, _ in host._journal or ()]
    assert len(told) > 20
    frozen = [freeze(one) for one in [*told, *(record.fact for record in records)]]
    assert [thaw(one) for one in frozen] == [*told, *(record.fact for record in records)]
    for thing in [*(host.actor for host in world.hosts.values()), *world.judge._properties]:
        again = thaw(freeze(thing))
        assert again.__class__ is thing.__class__
        assert freeze(again) == freeze(thing)


PRINTS: Final = """
import sys
from clusters.sim.search.frozen import freeze
from tests.clusters.search.paths import random_path
from tests.clusters.search.test_world_space import SETUPS
from clusters.sim.search.world_space import ACTORS, WorldSpace
from random import Random
space = WorldSpace(SETUPS["two-vms-one-lost"](), ("vm1", "vm2"))
labels, states = random_path(space, Random(7))
keys = [space.key(state) for state in states]
parts = [space.parts.content[part].hex() for part in states[-1][ACTORS:]]
channels = [space.channel(label) for label in labels]
sys.stdout.write(repr((keys, parts, channels, [space.words(label) for label in labels])))
"""


def test_keys_bytes_and_channels_are_the_same_in_every_process() -> None:
    """With another hash seed, sets and strings come in another order; nothing here does."""
    said = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", PRINTS],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(run.stdout)
    assert said[0] == said[1]
    assert "vm1.guest" in said[0]


# --- What has no bytes ----------------------------------------------------------------------------


@dataclass
class Holder:
    """Holds anything."""

    it: object


@pytest.mark.parametrize(
    "value",
    [
        {1, 2},
        frozenset("ab"),
        len,
        test_what_is_thawed_is_what_was_frozen,
        lambda: None,
        1.5,
        b"raw",
        object(),
        range(3),
        iter([1]),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize(
    "around", [lambda x: x, lambda x: [x], lambda x: {"k": (x,)}, Holder], ids=range(4)
)
def test_err_what_has_no_order_or_no_content_is_refused(
    value: object, around: Callable[[object], object]
) -> None:
    """The trap: a set in a state would come back in an order of its own."""
    with pytest.raises(Unfreezable, match="has no bytes"):
        freeze(around(value))


class Pair(NamedTuple):
    """A tuple that is more than one."""

    one: int
    other: int


@pytest.mark.parametrize(
    "value",
    [Pair(1, 2), defaultdict(int, a=1), Counter("ab")],
    ids=lambda value: type(value).__name__,
)
def test_err_what_is_more_than_a_tuple_or_a_dict_is_refused(value: object) -> None:
    """Its content is in no field: two that differ would have the same bytes."""
    with pytest.raises(Unfreezable, match="has no bytes"):
        freeze(value)


class Growing:
    """Has a field more once it has seen something."""

    def __init__(self) -> None:
        self.seen = 0

    def see(self) -> None:
        self.seen += 1
        self.first = self.seen


def test_err_an_object_that_grows_a_field_is_refused() -> None:
    """The field would be in no bytes, and so in no key."""
    growing = Growing()
    freeze(growing)
    growing.see()
    with pytest.raises(Unfreezable, match="a Growing has other fields than those before it"):
        freeze(growing)


# --- Names ----------------------------------------------------------------------------------------

SWAP: Final = Renaming({"vm1": "vm2", "vm2": "vm1"})


@pytest.mark.parametrize(
    ("text", "exchanged"),
    [
        ("vm1", "vm2"),
        ("vm1.guest", "vm2.guest"),
        ("vm1:wq", "vm2:wq"),
        ("vdcm.dsa0:vm1:swq", "vdcm.dsa0:vm2:swq"),
        ("vm1 waits for vm2", "vm2 waits for vm1"),
        ("vm1-vm2_vm1", "vm2-vm1_vm2"),
        ("svm1", "svm1"),
        ("vm10", "vm10"),
        ("vm11.guest", "vm11.guest"),
        ("xvm1x", "xvm1x"),
        ("iommu:svm", "iommu:svm"),
        ("VM1", "VM1"),
        ("", ""),
    ],
)
def test_only_whole_words_are_exchanged(text: str, exchanged: str) -> None:
    assert SWAP.word(text) == exchanged
    assert SWAP.word(exchanged) == text


@given(values, st.permutations(NAMES))
def test_an_exchange_and_its_inverse_change_nothing(value: object, order: list[str]) -> None:
    there = Renaming(dict(zip(NAMES, order, strict=True)))
    back = Renaming(dict(zip(order, NAMES, strict=True)))
    assert back.frozen(there.frozen(freeze(value))) == freeze(value)
    unordered = freeze(value, ordered=False)
    assert back.frozen(there.frozen(unordered, ordered=False), ordered=False) == unordered


def test_names_are_exchanged_in_keys_and_fields_and_never_in_classes() -> None:
    value = {"vm1": [("vm2.guest", 3)], "vm2": [Holder("vm1")], "state": State.IDLE}
    expected = {"vm2": [("vm1.guest", 3)], "vm1": [Holder("vm2")], "state": State.IDLE}
    assert thaw(SWAP.frozen(freeze(value))) == expected
    odd = Renaming({"tests": "clusters", "clusters": "tests", "IDLE": "FREE", "FREE": "IDLE"})
    assert thaw(odd.frozen(freeze([Holder("tests"), State.IDLE]))) == [
        Holder("clusters"),
        State.IDLE,
    ]


def test_an_unordered_dict_is_put_in_the_order_of_its_new_names() -> None:
    before = freeze({"vm1": 1, "vm2": 2}, ordered=False)
    assert SWAP.frozen(before, ordered=False) == freeze({"vm1": 2, "vm2": 1}, ordered=False)
    assert str(SWAP) == "vm1 and vm2"


# --- Ghosts ---------------------------------------------------------------------------------------


@given(values)
def test_ghosts_are_found_wherever_they_are_and_nothing_else_is_one(value: object) -> None:
    found: dict[Incarnation, None] = {}
    ghosts_in(plain(value), found)
    assert sorted(found) == sorted(ghosts_of(value))


def ghosts_of(value: object) -> set[int]:
    """The ghosts of a value, without its bytes."""
    if isinstance(value, Ghost):
        return {int(value)}
    if isinstance(value, dict):
        return ghosts_of([*value, *value.values()])
    if isinstance(value, list | tuple | deque):
        return {ghost for part in value for ghost in ghosts_of(part)}
    return set()


@given(values, st.integers(1, 20))
def test_ghosts_are_numbered_anew_and_nothing_else_is(value: object, more: int) -> None:
    moved = with_ghosts(plain(value), lambda ghost: ghost + more)
    found: dict[Incarnation, None] = {}
    ghosts_in(moved, found)
    assert sorted(found) == sorted(ghost + more for ghost in ghosts_of(value))
    assert with_ghosts(moved, lambda ghost: ghost - more) == plain(value)


def test_who_counts_on_from_a_ghost_gets_a_ghost() -> None:
    after = Ghost(3) + 1
    assert isinstance(after, Ghost)
    assert after == 4
    assert freeze(Ghost(4)) == freeze(after) != freeze(4)


def test_a_ghost_goes_through_a_message_into_a_fact() -> None:
    fact = PasidAllocated(1, Ghost(3), 0, "vm1", 1)
    found: dict[Incarnation, None] = {}
    decoded: Plain = msgspec.msgpack.decode(freeze(fact))
    ghosts_in(decoded, found)
    assert list(found) == [3]
