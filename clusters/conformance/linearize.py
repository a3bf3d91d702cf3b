"""Whether a concurrent history has an order in which the actor gives the recorded answers.

The search is Wing and Gong's with Lowe's memory: a configuration is what has happened so far and
the actor's state, and none is tried twice.  The step that must come next at the latest is looked at
with those that may come before it.  Of these only such are tried as depend on one another, through
any number of others: the rest comes to the same before or after (a persistent set).  A step that
writes nothing is taken as soon as its answer is right.

Wing and Gong, "Testing and verifying concurrent objects", 1993; Lowe, "Testing for
linearizability", 2017; Godefroid, "Partial-order methods for the verification of concurrent
systems", 1996.
"""

import resource
import time
from collections.abc import Sequence
from typing import Final, TypeAlias, cast

from msgspec import Struct

from clusters.cluster import Actor
from clusters.conformance.future import Needs, quiet_moments
from clusters.conformance.operations import NEVER, NOTHING, Operation, Step, Vocabulary, lanes_of
from clusters.conformance.state import copy_of, digest
from clusters.sim.search.handling import Handle
from protocol.effects import CALM, Calm, Out, Send
from protocol.messages import Done
from protocol.names import CORE, KERNEL, Name

Order: TypeAlias = list[tuple[int, int]]
"""Steps as (operation, number of the step in it)."""

LOOK_AT_CLOCK: Final = 64
LAST: Final = Step(-1, "", Done(0), NEVER, NEVER, NOTHING)
"""What follows the last step of a lane: it is never possible and never due."""


class NoMemory(Calm):
    """Every fallible step fails."""

    def fails(self, actor: Name, site: str) -> bool:
        """It does."""
        return True


NO_MEMORY: Final = NoMemory()


class Budget(Struct, frozen=True):
    """What a search may take: configurations, seconds, bytes of memory of the whole process."""

    states: int = 2_000_000
    seconds: float = 60.0
    bytes: int = 1 << 30


class Found(Struct, frozen=True):
    """What a search came to.

    `order` is a witness.  Without one: `stuck` is the event before which nothing can be put right,
    or `reason` says what ran out.  `finals` are the states that were asked for.
    """

    order: Order | None = None
    stuck: int = -1
    reason: str = ""
    steps: int = 0
    states: int = 0
    finals: tuple[Actor, ...] = ()


class Frame(Struct, gc=False):
    """A configuration with candidates that are still to be tried."""

    progress: list[int]
    actor: Actor
    candidates: list[int]
    length: int


class Search:
    """One history, from one state of the actor on."""

    def __init__(
        self,
        operations: Sequence[Operation],
        actor: Actor,
        budget: Budget,
        vocabulary: Vocabulary,
        until: int = NEVER - 1,
    ) -> None:
        """What is due after event `until` need not have happened."""
        self._actor = actor
        self._without = vocabulary.without
        self._until = until
        self._budget = budget
        self._ends = time.monotonic() + budget.seconds
        self._lanes: list[list[Step]] = []
        self._numbers: list[list[int]] = []
        for lane in lanes_of(operations):
            steps = [step for one in lane for step in one.steps]
            self._lanes.append([*steps, LAST])
            self._numbers.append([n for one in lane for n in range(len(one.steps))])
        if not self._lanes:
            self._lanes.append([LAST])
        self._quiet = quiet_moments(self._lanes)
        self._needs = Needs(self._lanes)
        self._always = 0
        self._astray = 2 * sum(map(len, self._lanes))
        self._seen: set[bytes] = set()
        self._steps = 0
        self._stuck = -1

    def run(self, finals: int = 0, needed: int = 0) -> Found:
        """A witness; with `finals`, up to so many states instead that all orders can end in.

        Of these the bits count that are `needed` afterwards.
        """
        self._always = needed
        actor, progress = copy_of(self._actor), [0] * len(self._lanes)
        frames: list[Frame] = []
        path: list[int] = []
        ends: dict[bytes, Actor] = {}
        turns = 0
        while True:
            turns += 1
            if turns % LOOK_AT_CLOCK == 0 and (reason := self._spent()):
                return self._found(reason=reason)
            candidates = self._candidates(progress)
            if candidates and len(path) in self._quiet and self._was_here(actor, progress, 0):
                pass
            elif not candidates:
                if not finals:
                    return self._found(order=self._order(path))
                view = self._without(actor, needed)
                ends.setdefault(digest(view), view)
                if len(ends) > finals:
                    return self._found(reason=f"more than {finals} states")
            elif (taken := self._taken(actor, progress, candidates)) is not None:
                lane, actor = taken
                path.append(lane)
                progress[lane] += 1
                continue
            elif len(candidates) > 1 and not self._was_here(actor, progress, 1):
                frames.append(Frame(progress, actor, candidates[::-1], len(path)))
            back = self._resume(frames, path)
            if back is None:
                break
            actor, progress = back
        if finals:
            return self._found(finals=tuple(ends.values()))
        return self._found(stuck=self._stuck)

    def _was_here(self, actor: Actor, progress: list[int], kind: int) -> bool:
        """Whether this configuration has been met; else it is remembered.

        When the search has gone astray much, what nobody needs any more does not tell two apart.
        """
        if self._steps > self._astray:
            needed = self._always | self._needs.after(progress)
            key = digest(self._without(actor, needed), progress, kind, "needed")
        else:
            key = digest(actor, progress, kind)
        if key in self._seen:
            return True
        self._seen.add(key)
        return False

    # --- What can come next -----------------------------------------------------------------------

    def _candidates(self, progress: list[int]) -> list[int]:
        """The lanes whose next steps depend on the one that is due first, in a likely order.

        None when nothing is due any more.
        """
        steps = [lane[at] for lane, at in zip(self._lanes, progress, strict=True)]
        due = min(steps, key=_before)
        if due.before > self._until:
            return []
        self._stuck = max(self._stuck, due.before)
        limit = due.before
        first = steps.index(due)
        possible = [n for n, step in enumerate(steps) if step.after < limit and n != first]
        chosen, queue = [first], [due]
        while queue and possible:
            one = queue.pop()
            near = [n for n in possible if steps[n].footprint.disturbs(one.footprint)]
            if near:
                queue += [steps[n] for n in near]
                chosen += near
                possible = [n for n in possible if n not in near]
        if len(chosen) > 1:
            chosen.sort(key=lambda n: likely(steps[n]))
        return chosen

    def _taken(
        self, actor: Actor, progress: list[int], candidates: list[int]
    ) -> tuple[int, Actor] | None:
        """The step that can be taken without a thought for the others, and the actor after it.

        Either there is no other, or it writes nothing and its answer is right by now.
        """
        if len(candidates) == 1:
            lane = candidates[0]
            fits = self._fits(actor, self._lanes[lane][progress[lane]])
            return (lane, actor) if fits else None
        for lane in candidates:
            step = self._lanes[lane][progress[lane]]
            if not step.footprint.writes:
                after = actor if step.pure else copy_of(actor)
                if self._fits(after, step):
                    return lane, after
        return None

    def _resume(self, frames: list[Frame], path: list[int]) -> tuple[Actor, list[int]] | None:
        """Back to the last configuration with a candidate that fits."""
        while frames:
            frame = frames[-1]
            lane = frame.candidates.pop()
            last = not frame.candidates
            actor = frame.actor if last else copy_of(frame.actor)
            if last:
                frames.pop()
            if self._fits(actor, self._lanes[lane][frame.progress[lane]]):
                progress = frame.progress.copy()
                progress[lane] += 1
                del path[frame.length :]
                path.append(lane)
                return actor, progress
        return None

    def _fits(self, actor: Actor, step: Step) -> bool:
        """Hand the step to the actor; whether it does what was recorded."""
        self._steps += 1
        out = Out(CORE, NO_MEMORY if step.fails else CALM)
        cast("Handle", actor.handle)(step.message, step.sender, out)
        if len(out.effects) != 1:
            return False  # It waits for a lock: later is the same, and then it has an answer.
        effect = out.effects[0]
        if step.asks is not None:
            return effect == step.asks
        assert isinstance(effect, Send), "a core sets no timer"
        if step.reads_as is None:
            return effect.to == KERNEL
        answer = step.reads_as(effect.message)
        # In Python 0 is False and 1 is True; in a trace they are not.
        return effect.to == KERNEL and answer == step.ret and answer.__class__ is step.ret.__class__

    # --- What it came to --------------------------------------------------------------------------

    def _order(self, path: list[int]) -> Order:
        at = [0] * len(self._lanes)
        order: Order = []
        for lane in path:
            step = self._lanes[lane][at[lane]]
            order.append((step.operation, self._numbers[lane][at[lane]]))
            at[lane] += 1
        return order

    def _spent(self) -> str:
        """Which of the budgets has gone; empty: none."""
        if len(self._seen) > self._budget.states:
            return f"more than {self._budget.states:,} configurations"
        if time.monotonic() > self._ends:
            return f"more than {self._budget.seconds:g} seconds"
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        if used > self._budget.bytes:
            return f"more than {self._budget.bytes >> 20:,} MiB of memory"
        return ""

    def _found(
        self,
        order: Order | None = None,
        stuck: int = -1,
        reason: str = "",
        finals: tuple[Actor, ...] = (),
    ) -> Found:
        return Found(order, stuck, reason, self._steps, len(self._seen), finals)


def likely(step: Step) -> float:
    """When it probably happened: what goes on has been asked; a set_data then waits for readers."""
    if step.early:
        return step.after + 0.5
    return (step.after + step.before) / 2


def _before(step: Step) -> int:
    return step.before
