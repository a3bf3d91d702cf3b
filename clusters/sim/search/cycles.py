"""Fair cycles: whether something can stay owed for ever, although everybody who can move does.

A run that never ends goes round in a strongly connected part of the graph.  It is fair if every
channel that could deliver all the time does deliver: so a part counts if each channel is either
used inside it, or closed in at least one of its states.  If something is owed in all states of such
a part, it is never given.  What is looked at is the whole graph, so the answer is exact.

Source: Emerson, Lei, 1987; weak fairness for each channel.
"""

from collections.abc import Iterator, Sequence

from clusters.sim.search.graph import Edges, Found


def fair_cycle(edges: Edges, count: int) -> Found | None:
    """The fair cycle in which something is owed for ever that is nearest to the root, if any.

    `count` states are looked at; each must have been expanded.
    """
    everywhere, inside = bytearray(b"\1" * count), bytearray(count)
    found: list[tuple[int, str, list[int]]] = []
    for part in parts_of(edges, range(count), everywhere):
        for sentence in _owed_in(edges, part):
            owing = [state for state in part if sentence in _owed(edges, state)]
            for state in owing:
                inside[state] = 1
            found += [
                (min(smaller), sentence, smaller)
                for smaller in parts_of(edges, owing, inside)
                if is_fair(edges, smaller)
            ]
            for state in owing:
                inside[state] = 0
    if not found:
        return None
    first, sentence, part = min(found)
    name, _, words = sentence.partition(": ")
    return Found(first, name, words, tuple(_round(edges, first, part)))


def cyclic(edges: Edges, count: int) -> bool:
    """Whether a run can go on for ever."""
    return next(parts_of(edges, range(count), bytearray(b"\1" * count)), None) is not None


def _owed(edges: Edges, state: int) -> tuple[str, ...]:
    return edges.owings[edges.owed[state]]


def _owed_in(edges: Edges, part: Sequence[int]) -> list[str]:
    """All that is owed in some state of the part."""
    numbers = sorted({edges.owed[state] for state in part})
    return list(dict.fromkeys(one for number in numbers for one in edges.owings[number]))


def parts_of(edges: Edges, states: Sequence[int], inside: bytearray) -> Iterator[list[int]]:
    """The strongly connected parts with at least one edge, among the states that are `inside`.

    Tarjan's algorithm, without recursion.
    """
    starts, targets = edges.starts, edges.targets
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    on_stack: dict[int, None] = {}
    for root in states:
        if root in index:
            continue
        work = [(root, starts[root])]
        index[root] = low[root] = len(index)
        on_stack[root] = None
        while work:
            state, at = work.pop()
            ends = starts[state + 1]
            while at < ends:
                target = targets[at]
                at += 1
                if not inside[target]:
                    continue
                if target not in index:
                    work += [(state, at), (target, starts[target])]
                    index[target] = low[target] = len(index)
                    on_stack[target] = None
                    break
                if target in on_stack:
                    low[state] = min(low[state], index[target])
            else:
                if work:
                    above = work[-1][0]
                    low[above] = min(low[above], low[state])
                if low[state] == index[state]:
                    part = _popped(on_stack, state)
                    if len(part) > 1 or state in targets[starts[state] : starts[state + 1]]:
                        yield part


def _popped(on_stack: dict[int, None], root: int) -> list[int]:
    part: list[int] = []
    while True:
        state, _ = on_stack.popitem()
        part.append(state)
        if state == root:
            return sorted(part)


def is_fair(edges: Edges, part: Sequence[int]) -> bool:
    """Whether a run can go round in the part for ever and be fair."""
    inside = dict.fromkeys(part)
    used: dict[int, None] = {}
    always: dict[int, None] | None = None
    for state in part:
        channels: dict[int, None] = {}
        for at in range(edges.starts[state], edges.starts[state + 1]):
            channel = edges.channels[at]
            if channel >= 0:
                channels[channel] = None
                if edges.targets[at] in inside:
                    used[channel] = None
        always = channels if always is None else {c: None for c in always if c in channels}
    assert always is not None, "a part has states"
    return all(channel in used for channel in always)


def _round(edges: Edges, first: int, part: list[int]) -> list[int]:
    """The turns of a walk from a state of a fair part back to it, that makes it fair.

    It takes an edge of each channel that is used inside, and comes by every state in which a
    channel is closed that is not.
    """
    inside = dict.fromkeys(part)
    walk: list[int] = []
    state = first
    open_ = _to_be_met(edges, part)
    while open_:
        if state in open_:
            del open_[state]
            continue
        turns, state = _nearest(edges, state, inside, open_)
        walk += turns
    if state != first or not walk:
        walk += _nearest(edges, state, inside, {first: None})[0]
    return walk


def _to_be_met(edges: Edges, part: list[int]) -> dict[int, None]:
    """Edges (as -1 - number) and states that a fair walk must meet."""
    inside = dict.fromkeys(part)
    used: dict[int, int] = {}
    closed: dict[int, int] = {}
    channels_of: dict[int, dict[int, None]] = {}
    everyone: dict[int, None] = {}
    for state in part:
        mine = channels_of[state] = {}
        for at in range(edges.starts[state], edges.starts[state + 1]):
            channel = edges.channels[at]
            if channel >= 0:
                mine[channel] = everyone[channel] = None
                if edges.targets[at] in inside:
                    used.setdefault(channel, at)
    for channel in everyone:
        if channel not in used:
            closed[channel] = next(state for state in part if channel not in channels_of[state])
    return dict.fromkeys([*(-1 - at for at in used.values()), *closed.values()])


def _nearest(
    edges: Edges, state: int, inside: dict[int, None], open_: dict[int, None]
) -> tuple[list[int], int]:
    """The turns to the nearest thing that is still to be met, and where that leads; it is met.

    At least one move is made.
    """
    came: dict[int, tuple[int, int]] = {}
    queue = [state]
    for one in queue:
        for at in range(edges.starts[one], edges.starts[one + 1]):
            target = edges.targets[at]
            if target not in inside:
                continue
            met = -1 - at if -1 - at in open_ else target
            if met in open_:
                del open_[met]
                return [*_back(came, state, one), at - edges.starts[one]], target
            if target not in came and target != state:
                came[target] = (one, at - edges.starts[one])
                queue.append(target)
    raise AssertionError("a strongly connected part is connected")


def _back(came: dict[int, tuple[int, int]], first: int, last: int) -> list[int]:
    """The turns from one state to another, by who came from where."""
    turns: list[int] = []
    while last != first:
        last, turn = came[last]
        turns.append(turn)
    return turns[::-1]
