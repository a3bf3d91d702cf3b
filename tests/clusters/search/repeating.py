"""A guest that does the same for ever: an endless run that must have an end of states."""

from dataclasses import replace
from typing import Final

from actors.guest import Guest, Inbox, script
from actors.guest.state import Living
from clusters.sim.search.world_space import State, WorldSpace
from protocol.effects import Out
from protocol.messages import TimerFired
from protocol.names import Name
from tests.defects.stages import stage

AGAIN: Final = "once more"


class Repeating(Guest):
    """A guest that begins its script again when it is through, and remembers nothing of it."""

    __slots__ = ()

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        if message == TimerFired(AGAIN):
            self.position = self.invoked = self.drawn = 0
            self.variables, self.told, self.living = {}, {}, Living()
            script.go_on(self, out)
            return
        Guest.handle(self, message, sender, out)
        if self.position == len(self.plan.steps) and not self.tasks:
            out.set_timer(AGAIN)


def for_ever(*steps: str) -> WorldSpace:
    """A guest that does this for ever, judged by every property."""
    setup = replace(stage(steps).setup(), classes={"guest": Repeating})
    return WorldSpace(setup, booted=True)


def in_circles(space: WorldSpace) -> tuple[list[State], int]:
    """The states of the plainest path, until one comes again; and where that one was before."""
    state = space.initial()
    states, seen = [state], {space.key(state): 0}
    while True:
        due = [move for move in space.moves(state) if space.channel(move[0]) >= 0]
        state = space.after(state, due[0][2])
        before = seen.setdefault(space.key(state), len(states))
        states.append(state)
        if before != len(states) - 1:
            return states, before
        assert len(states) < 5_000, "it never comes back"
