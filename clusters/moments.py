"""Where an input stands in happens-before: who sent it, and what its actor had done before (§6).

A clock is made when somebody asks for one, which few do: a schedule of the simulator makes a
hundred thousand inputs a second.
"""

from typing import Final

from msgspec import Struct

from protocol.history import Clock, Stamp
from protocol.messages import AnyMessage
from protocol.names import Name

PAST_MAX: Final = 1024
"""After so many inputs of an actor the clocks of its past are made, and the past is let go."""
NEAR: Final = 24
"""So many causes of an input are looked at before its clock is made."""
CLOSE: Final = 6
"""And so many causes of each of its actor's last inputs."""
STEP_NS: Final = 1_000
"""Simulated time: a step is a microsecond."""


class Moment(Struct):
    """An input's place in happens-before, with the fields of a `Stamp`, some made when first read.

    `origin` is the input that sent this one, None for the world's; `before` the actor's last one.
    Both are let go when the clock is made, and for a long run `let_go` sees to that.
    """

    actor: Name
    n: int
    step: int
    message: type[AnyMessage]
    origin: "Moment | None"
    before: "Moment | None"
    epoch: int
    ts_ns: int
    cause: Name = ""
    cause_n: int = 0
    made: Clock | None = None

    @property
    def input(self) -> str:
        """The type of the input."""
        return self.message.__name__

    @property
    def clock(self) -> Clock:
        """Per actor, the number of its inputs that happened before; shared, not to be changed."""
        return self.made if self.made is not None else clock_of(self)

    def saw(self, actor: Name, n: int) -> bool:
        """Whether input `n` of `actor` happened before this one (or is it).

        Mostly it did, and is near in the chain of causes that led here, or to what the actor did
        shortly before: then no clock is made.
        """
        origin = self.origin
        if origin is not None and origin.actor == actor and origin.n >= n:
            return True
        if is_near(self, actor, n, NEAR):
            return True
        before = self.before
        for _ in range(NEAR):
            if before is None:
                break
            if is_near(before, actor, n, CLOSE):
                return True
            before = before.before
        return self.clock.get(actor, 0) >= n


def is_near(moment: Moment, actor: Name, n: int, hops: int) -> bool:
    """Whether input `n` of `actor`, or a later one, is among the last causes of an input."""
    near: Moment | None = moment
    for _ in range(hops):
        if near is None:
            return False
        if near.made is not None:
            return near.made.get(actor, 0) >= n
        if near.actor == actor and near.n >= n:
            return True
        near = near.origin
    return False


def clock_of(moment: Moment) -> Clock:
    """The clock of an input, made if it has none."""
    if moment.made is not None:
        return moment.made
    before, origin = moment.before, moment.origin
    if (before is None or before.made) and (origin is None or origin.made):
        clock = _joined(moment, before, origin)
        clock[moment.actor] = moment.n
    else:
        clock = _gathered(moment)
    moment.made = clock
    moment.before = moment.origin = None
    return clock


def _gathered(moment: Moment) -> Clock:
    """The clock of an input where those before it have none: each is passed once, and gets none.

    An actor's inputs are passed from the last of them back to one that the clock knows already,
    and with it all that was before that one.
    """
    clock: Clock = {}
    todo = [moment]
    while todo:
        top: Moment | None = todo.pop()
        assert top is not None
        known = clock.get(top.actor, 0)
        if top.n > known:
            clock[top.actor] = top.n
        while top is not None and top.n > known:
            if top.made is not None:
                for actor, n in top.made.items():
                    if n > clock.get(actor, 0):
                        clock[actor] = n
                break
            origin = top.origin
            if origin is not None and origin.n > clock.get(origin.actor, 0):
                todo.append(origin)
            top = top.before
    return clock


def let_go(moment: Moment) -> None:
    """Make the clock of an input and of all before it: none of them keeps what was before it."""
    todo = [moment]
    while todo:
        top = todo[-1]
        before, origin = top.before, top.origin
        if before is not None and before.made is None:
            todo.append(before)
        elif origin is not None and origin.made is None:
            todo.append(origin)
        else:
            todo.pop()
            clock_of(top)


def _joined(moment: Moment, before: Moment | None, origin: Moment | None) -> Clock:
    """The later of the clocks of both, actor by actor, as a new one."""
    own = before.made if before is not None else None
    sent = origin.made if origin is not None else None
    if own is None or sent is None:
        return (own or sent or {}).copy()
    # An answer comes from somebody who has seen all that we had seen when we asked.
    if sent.get(moment.actor, 0) == moment.n - 1:
        return sent.copy()
    clock = own.copy()
    for actor, n in sent.items():
        if n > clock.get(actor, 0):
            clock[actor] = n
    return clock


def stamp_of(moment: Moment, step: int | None = None) -> Stamp:
    """The moment as a history keeps it; `step` if it is said later than the input."""
    return Stamp(
        actor=moment.actor,
        n=moment.n,
        epoch=moment.epoch,
        step=moment.step if step is None else step,
        ts_ns=moment.ts_ns or moment.step * STEP_NS,
        input=moment.input,
        cause=moment.cause,
        cause_n=moment.cause_n,
        clock=moment.clock,
    )
