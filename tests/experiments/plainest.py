"""The plainest search there is: what faster ones are checked against."""

from clusters.sim.search.space import D, Key, S, Space


def searched(space: Space[S, D]) -> tuple[dict[Key, S], int, int]:
    """One state for each key, how many were generated, and the length of a counterexample or -1."""
    known, generated = {space.key(space.initial()): space.initial()}, 1
    level, depth = list(known.values()), 0
    while level:
        if any(space.wrong(state) for state in level):
            return known, generated, depth
        deeper = []
        for state in level:
            for _, key, step in space.moves(state):
                generated += 1
                if key not in known:
                    known[key] = space.after(state, step)
                    deeper.append(known[key])
        level, depth = deeper, depth + 1
    return known, generated, -1
