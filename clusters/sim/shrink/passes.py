"""Ways to make a schedule smaller: what is left out, what is made plain, what is lowered.

Each pass proposes drafts, and goes on from what was taken.  It goes through a schedule from its end
to its beginning, so that what was found to be needed is not asked again at once.
"""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec import structs

from clusters.moments import Moment, clock_of
from clusters.sim.shrink.attempts import Attempts
from clusters.sim.shrink.draft import Answer, Draft, Move
from clusters.sim.tape import Begin, Draw, Fail, Heal


def made_plain(tries: Attempts) -> None:
    """Nothing but the plain schedule; or with the faults and the draws of this one."""
    draft = tries.best.draft
    tries.draft(Draft()) or tries.draft(
        Draft(draft.start, tuple([structs.replace(move, act=_fault(move)) for move in draft.moves]))
    )


def related(tries: Attempts) -> None:
    """Only what happened before the violation, by cause or in the same actor; and all faults."""
    best = tries.best
    stamp = best.violation.record.stamp
    last = next(
        (one for one in best.passed if one and (one.actor, one.n) == (stamp.actor, stamp.n)), None
    )
    if last is not None:
        clock = clock_of(last)
        _keep(tries, [one is None or clock.get(one.actor, 0) >= one.n for one in best.passed])


def without_faults(tries: Attempts) -> None:
    """Without any fault; without each, and its end."""
    _keep(tries, [not isinstance(move.act, Begin | Heal) for move in tries.best.draft.moves])
    for at in _downwards(tries):
        moves = tries.best.draft.moves
        begun = moves[at].act
        if isinstance(begun, Begin):
            end = Heal(begun.fault, begun.target)
            healed = next((k for k in range(at, len(moves)) if moves[k].act == end), at)
            _keep(tries, [k not in (at, healed) for k in range(len(moves))])


def without_failures(tries: Attempts) -> None:
    """No step fails; or each of them does not."""
    _each_answer(tries, _passed)


def without_spans(tries: Attempts) -> None:
    """Without half of the moves, a quarter, ..., without each."""
    for size, at in _spans(tries):
        _keep(tries, [not at <= k < at + size for k in range(len(tries.best.draft.moves))])


def without_what_follows(tries: Attempts) -> None:
    """Without each delivery and all that happened because of it."""
    for at in _downwards(tries):
        first = tries.best.passed[at]
        if first is not None:
            _keep(tries, [not _follows(one, first) for one in tries.best.passed])


def plain_spans(tries: Attempts) -> None:
    """Half of the moves as the plain schedule has them, a quarter, ..., each."""
    for size, at in _spans(tries):
        draft = tries.best.draft
        if any(tries.best.instead[at : at + size]):
            moves = [
                Move(_fault(move), move.said) if at <= k < at + size else move
                for k, move in enumerate(draft.moves)
            ]
            tries.draft(Draft(draft.start, tuple(moves)))


def pulled_forward(tries: Attempts) -> None:
    """What the plain schedule would have done is done there, and all the rest in its order."""
    for at in _downwards(tries):
        draft = tries.best.draft
        moves, first = draft.moves, tries.best.instead[at]
        later = next((k for k in range(at, len(moves)) if first and moves[k].act == first), at)
        if later > at:
            pulled = (*moves[:at], moves[later], *moves[at:later], *moves[later + 1 :])
            tries.draft(Draft(draft.start, pulled))


def lowered(tries: Attempts) -> None:
    """Every number drawn is 0; or each is, or half of it, or one less."""
    for lower in (lambda _: 0, lambda value: value // 2, lambda value: value - 1):
        _each_answer(tries, _drawn(lower))


PASSES: Final[tuple[Callable[[Attempts], None], ...]] = (
    related,
    without_faults,
    without_failures,
    without_spans,
    without_what_follows,
    plain_spans,
    pulled_forward,
    lowered,
)


def _keep(tries: Attempts, kept: Iterable[bool]) -> bool:
    """Whether the draft is better with only these of its moves."""
    draft = tries.best.draft
    moves = [move for move, stays in zip(draft.moves, kept, strict=True) if stays]
    return len(moves) < len(draft.moves) and tries.draft(Draft(draft.start, tuple(moves)))


def _follows(one: Moment | None, first: Moment) -> bool:
    return one is not None and clock_of(one).get(first.actor, 0) >= first.n


def _fault(move: Move) -> Begin | Heal | None:
    return move.act if isinstance(move.act, Begin | Heal) else None


def _downwards(tries: Attempts) -> Iterable[int]:
    """Every place of the draft, the last first; it may become shorter meanwhile."""
    at = len(tries.best.draft.moves) - 1
    while at >= 0:
        yield at
        at = min(at, len(tries.best.draft.moves)) - 1


def _spans(tries: Attempts) -> Iterable[tuple[int, int]]:
    """Spans of half the moves, of a quarter, ..., of one."""
    size = len(tries.best.draft.moves) // 2
    while size:
        end = len(tries.best.draft.moves)
        while end > 0:
            yield size, max(0, end - size)
            end = min(end - size, len(tries.best.draft.moves))
        size //= 2


def _each_answer(tries: Attempts, change: Callable[[Answer], Answer]) -> None:
    """All that chance said changed at once, else each alone."""
    draft = tries.best.draft
    if _try_answers(tries, -1, change) or draft != tries.best.draft:
        return
    for at in range(sum(1 for _ in _answers(draft)) - 1, -1, -1):
        _try_answers(tries, at, change)


def _try_answers(tries: Attempts, at: int, change: Callable[[Answer], Answer]) -> bool:
    """The `at`-th answer changed; -1: all."""
    draft = tries.best.draft
    count = -1

    def one(answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
        nonlocal count
        said = []
        for answer in answers:
            count += 1
            said.append(change(answer) if at in (-1, count) else answer)
        return tuple(said)

    start = one(draft.start)
    changed = Draft(start, tuple([Move(move.act, one(move.said)) for move in draft.moves]))
    return changed != draft and tries.draft(changed)


def _answers(draft: Draft) -> Iterable[Answer]:
    yield from draft.start
    for move in draft.moves:
        yield from move.said


def _passed(answer: Answer) -> Answer:
    return structs.replace(answer, failed=False) if isinstance(answer, Fail) else answer


def _drawn(lower: Callable[[int], int]) -> Callable[[Answer], Answer]:
    def change(answer: Answer) -> Answer:
        if isinstance(answer, Draw) and answer.value:
            return structs.replace(answer, value=lower(answer.value))
        return answer

    return change
