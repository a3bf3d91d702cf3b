from collections.abc import Callable

import msgspec
import pytest

from clusters.sim.search.breadth_first import CHUNK, BreadthFirst
from clusters.sim.search.checkpoint import CHECKPOINT_FORMAT, Progress, pack, unpack
from clusters.sim.search.delays import Delays
from clusters.sim.search.world_space import WorldSpace
from experiments.models.lost_ack import RETRIED_E
from experiments.models.refcount import MODEL_C
from experiments.models.two_phase import TwoPhase
from protocol.errors import UnreadableError

pytestmark = pytest.mark.long

OF = "model"
SPACES: dict[str, Callable[[], BreadthFirst[object, object]]] = {
    "two-phase": lambda: BreadthFirst(TwoPhase(5)),  # type: ignore[arg-type]
    "world": lambda: BreadthFirst(WorldSpace(MODEL_C)),  # type: ignore[arg-type]
    "edges": lambda: BreadthFirst(WorldSpace(RETRIED_E), edges=True),  # type: ignore[arg-type]
    "delays": lambda: BreadthFirst(Delays(WorldSpace(MODEL_C), 2)),  # type: ignore[arg-type]
}


def stopped(make: Callable[[], BreadthFirst[object, object]], after: int) -> bytes:
    search = make()
    while not search.done and search.next < after:
        search.go_on()
    return pack(search, OF)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("after", [0, CHUNK, 3 * CHUNK])
def test_a_search_that_goes_on_comes_to_the_same_end(name: str, after: int) -> None:
    whole, again = SPACES[name](), SPACES[name]()
    unpack(stopped(SPACES[name], after), again, OF, "search.bin")
    for search in (whole, again):
        while not search.done:
            search.go_on()
    assert again.graph.seen == whole.graph.seen
    assert again.graph.tree.parents == whole.graph.tree.parents
    assert again.graph.tree.turns == whole.graph.tree.turns
    assert (again.found, again.depth, again.end_count) == (
        whole.found, whole.depth, whole.end_count,
    )  # fmt: skip
    assert again.graph.moves == whole.graph.moves
    if whole.graph.edges is not None and again.graph.edges is not None:
        assert again.graph.edges.targets == whole.graph.edges.targets
        assert again.graph.edges.owings == whole.graph.edges.owings


def changed(**fields: object) -> bytes:
    progress = msgspec.msgpack.decode(stopped(SPACES["edges"], CHUNK), type=Progress)
    return msgspec.msgpack.encode(msgspec.structs.replace(progress, **fields))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a stopped search"),
        (b"\x93\x01", "not a stopped search"),
        (changed(format=CHECKPOINT_FORMAT + 1), "format 2, this version reads 1"),
        (changed(of="another"), "another experiment or of other bounds"),
        (changed(turns=b"\0\0"), "a part of the stopped search is missing"),
        (changed(parents=b"\0\0\0"), "not a stopped search"),
        (changed(next=1), "a part of the stopped search is missing"),
        (changed(keys=()), "a part of the stopped search is missing"),
        (changed(keys=("x",)), "neither a number nor a few"),
    ],
)
def test_err_what_is_no_stopped_search_of_this_space_is_refused(data: bytes, says: str) -> None:
    search = SPACES["edges"]()
    with pytest.raises(UnreadableError, match=says):
        unpack(data, search, OF, "search.bin")
    assert len(search.graph) == 1


def test_err_a_search_that_began_elsewhere_is_refused() -> None:
    with pytest.raises(UnreadableError, match="the code has changed"):
        unpack(stopped(SPACES["two-phase"], 9), SPACES["world"](), OF, "search.bin")
