"""The reference-count protocol as nothing but turns, for brute force that shares no code with it.

Each user has `messages` turns; its next one is on one of its two chains, there and back in turn.  A
schedule is the list of users in the order of their turns.
"""

from collections.abc import Iterator
from itertools import permutations, product

from clusters.sim.tape import Deliver, Tape
from experiments.models.refcount import ALLOCATOR

Turns = tuple[int, ...]
Chain = tuple[int, int]


def turns_of(tape: Tape) -> Turns:
    """Whose message each delivery of a run of model B or C was."""
    ends = [
        choice.source if choice.destination == ALLOCATOR else choice.destination
        for choice in tape.choices
        if isinstance(choice, Deliver)
    ]
    return tuple(int(end.removeprefix("user")) - 1 for end in ends)


def interleavings(users: int, messages: int) -> set[Turns]:
    """All schedules there are."""
    return set(permutations_of([messages] * users))


def permutations_of(left: list[int]) -> Iterator[Turns]:
    if not any(left):
        yield ()
    for user, count in enumerate(left):
        if count:
            less = [*left[:user], count - 1, *left[user + 1 :]]
            yield from ((user, *rest) for rest in permutations_of(less))


def by_priority(users: int, messages: int, ranks: dict[Chain, int], changes: list[int]) -> Turns:
    """The highest chain runs; at the i-th of `changes` it gets the i-th lowest rank instead."""
    ranks = dict(ranks)
    done = [0] * users
    turns: list[int] = []
    choices = 0
    while len(turns) < users * messages:
        enabled = [(user, done[user] % 2) for user in range(users) if done[user] < messages]
        if len(enabled) > 1:
            for lowest, at in enumerate(changes):
                if at == choices:
                    ranks[max(enabled, key=ranks.__getitem__)] = lowest - len(changes)
            choices += 1
        user, _ = max(enabled, key=ranks.__getitem__)
        done[user] += 1
        turns.append(user)
    return tuple(turns)


def all_by_priority(users: int, messages: int, depth: int, length: int) -> list[Turns]:
    """PCT by brute force: each order of the chains, each place of the changes, one schedule."""
    chains = list(product(range(users), range(2)))
    return [
        by_priority(users, messages, dict(zip(chains, order, strict=True)), list(changes))
        for order in permutations(range(len(chains)))
        for changes in product(range(length), repeat=depth - 1)
    ]


def with_delays(left: list[int], bound: int) -> Iterator[tuple[Turns, int]]:
    """Each schedule with at most `bound` delays, and its number of choices."""
    yield from _with_delays(list(range(len(left))), [], left, bound)


def _with_delays(
    fresh: list[int], held: list[int], left: list[int], bound: int
) -> Iterator[tuple[Turns, int]]:
    if not fresh and not held:
        yield (), 0
        return
    width = len(fresh) + len(held)
    for delays in range(min(bound, width - 1) + 1):
        queue = fresh + held
        user = queue[delays]
        still_fresh = [one for one in fresh if one not in queue[: delays + 1]]
        now_held = [one for one in held if one not in queue[: delays + 1]] + queue[:delays]
        less = [*left[:user], left[user] - 1, *left[user + 1 :]]
        if less[user]:
            still_fresh = [*still_fresh, user]
        for turns, choices in _with_delays(still_fresh, now_held, less, bound - delays):
            yield (user, *turns), choices + (width > 1)
