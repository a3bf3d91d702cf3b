"""A directed run: every host holds what comes, and hands its actors what a schedule says, in turn.

One input is released at a time, and what it did is compared with what it does in the simulator; a
fault is done at its place between them.  So the very schedule happens, or it is said where it does
not.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from clusters.live.course import Course, Mark, Step, Strike
from clusters.live.gate import Handled, read_handled
from clusters.live.supervisor import TICK_NS, HostView, Supervisor
from protocol.names import Name

if TYPE_CHECKING:
    from ray import ObjectRef

    from clusters.live.faults import Faults

PATIENCE_SECONDS: Final = 30.0
"""How long a message may take, or a host that was killed: both come again within a few seconds."""
ASK_SECONDS: Final = 5.0
"""How long a host may take to answer; it is asked again."""
HELD_SECONDS: Final = 5.0
"""How long what a lost actor has sent may take to its receivers."""


class Followed(Struct, frozen=True):
    """How far a directed run has come, of how many steps; `divergence`: where it could not go on.

    `violated`: the first property that the simulator sees violated, or "".
    """

    steps: int
    of: int
    violated: str
    divergence: str = ""

    @property
    def whole(self) -> bool:
        """Whether all of it happened."""
        return self.steps == self.of and not self.divergence


class StrayedError(Exception):
    """What was to happen did not."""


class Director:
    """`say` is told now and then; `followed` is right at any time, also after an interruption."""

    def __init__(
        self, supervisor: Supervisor, faults: "Faults", course: Course, say: Callable[[], None]
    ) -> None:
        self.supervisor = supervisor
        self.faults = faults
        self.course = course
        self.followed = Followed(0, course.steps, course.violated)
        self._say = say
        self._stepped_ns = 0

    def follow(self) -> Followed:
        """All of it, or as far as it goes."""
        for at, mark in enumerate(self.course.marks):
            try:
                if isinstance(mark, Step):
                    self._step(mark)
                else:
                    self._strike(mark, at)
            except StrayedError as error:
                self.followed = msgspec.structs.replace(self.followed, divergence=str(error))
                break
            if isinstance(mark, Step):
                steps = self.followed.steps + 1
                self.followed = msgspec.structs.replace(self.followed, steps=steps)
            if time.monotonic_ns() - self._stepped_ns >= TICK_NS:
                self._pass()
        return self.followed

    def _pass(self) -> None:
        """A few milliseconds, in which the supervisor does its work."""
        self._stepped_ns = time.monotonic_ns()
        self.supervisor.step()
        self._say()

    def _until(self, happened: Callable[[], bool], seconds: float) -> bool:
        """Whether it happened in that time."""
        until = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > until:
                return False
            self._pass()
        return True

    # --- One input --------------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        view = self.supervisor.home(step.ticket.actor)
        handled: list[Handled] = []

        def done() -> bool:
            answer = self._ask(view, step)
            handled.extend([answer] if answer is not None else [])
            return bool(handled)

        where = f"{step.words}, host {view.name}"
        if not self._until(done, PATIENCE_SECONDS):
            raise StrayedError(f"{where}: it did not come within {PATIENCE_SECONDS:g} s")
        if handled[0].failure:
            raise StrayedError(f"{where}: {handled[0].failure}")
        if handled[0].digest != step.digest:
            raise StrayedError(f"{where}: it has other effects than in the simulator")

    def _ask(self, view: HostView, step: Step) -> Handled | None:
        """None: the message has not come, or the host is not there."""
        import ray
        from ray.exceptions import ActorUnavailableError, GetTimeoutError

        try:
            call: ObjectRef[bytes] = view.handle.release.remote(msgspec.msgpack.encode(step.ticket))
            return read_handled(ray.get(call, timeout=ASK_SECONDS))
        except (ActorUnavailableError, GetTimeoutError):
            return None

    # --- One fault --------------------------------------------------------------------------------

    def _strike(self, strike: Strike, at: int) -> None:
        fault, target = strike.fault, strike.target
        if strike.healed:
            self.faults.end(fault, target)
            if not self._until(lambda: self.faults.settled(fault, target), PATIENCE_SECONDS):
                raise StrayedError(f"{strike.words}: not seen within {PATIENCE_SECONDS:g} s")
            return
        if fault == "lose":
            self._let_arrive(target, self.course.marks[at + 1 :])
        if not self._until(lambda: self.faults.possible(fault, target), PATIENCE_SECONDS):
            raise StrayedError(f"{strike.words}: it cannot be done to {target} now")
        self.faults.begin(fault, target)
        if not any(view.suffers for view in self.supervisor.running):
            self._until(lambda: self.faults.settled(fault, target), PATIENCE_SECONDS)

    def _let_arrive(self, lost: Name, left: tuple[Mark, ...]) -> None:
        """What the schedule still hands out of a lost actor's must have left it by then."""
        import ray

        wanted: dict[Name, int] = {}
        for mark in left:
            if isinstance(mark, Step) and mark.ticket.source == lost and mark.ticket.actor != lost:
                wanted[mark.ticket.actor] = wanted.get(mark.ticket.actor, 0) + 1

        def arrived() -> bool:
            calls: list[ObjectRef[int]] = [
                self.supervisor.home(actor).handle.holds.remote(lost, actor) for actor in wanted
            ]
            counts: list[int] = ray.get(calls, timeout=ASK_SECONDS)
            return all(count >= its for count, its in zip(counts, wanted.values(), strict=True))

        self._until(arrived, HELD_SECONDS)
