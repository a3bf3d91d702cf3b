"""What guests drew from their mix, as scripts: each operation as the step that does the same."""

from typing import Final

from actors.guest import Guest
from actors.guest.state import Operation
from clusters.sim.replay import Recorded
from clusters.sim.tape import Tape
from clusters.sim.world import Setup, World
from protocol.names import Name
from protocol.plan import Step

NO_WAIT: Final = "async "


class Watching:
    """A replay that looks before each choice what the guests have begun."""

    def __init__(self, tape: Tape) -> None:
        self._recorded = Recorded(tape)
        self.name = tape.strategy
        self.seed = tape.seed
        self.begun: dict[Name, dict[int, Step]] = {}
        """Per guest, its operations by number."""

    def choose(self, world: World) -> int:
        self.look(world)
        return self._recorded.choose(world)

    def fails(self, world: World, actor: Name, site: str) -> bool:
        return self._recorded.fails(world, actor, site)

    def draw(self, world: World, actor: Name, bound: int) -> int:
        return self._recorded.draw(world, actor, bound)

    def look(self, world: World) -> None:
        """What the guests are doing now."""
        for name, host in world.hosts.items():
            guest = host.actor
            if isinstance(guest, Guest):
                begun = self.begun.setdefault(name, {})
                for task in guest.tasks.values():
                    if isinstance(task, Operation):
                        begun[task.op] = task.step


def scripts(setup: Setup, tape: Tape) -> dict[Name, tuple[str, ...]]:
    """The script of each guest that would do what it did in this schedule."""
    watching = Watching(tape)
    world = World(setup, watching)
    world.run()
    watching.look(world)
    return {
        name: tuple(text_of(step) for _, step in sorted(begun.items()))
        for name, begun in watching.begun.items()
    }


def text_of(step: Step) -> str:
    """The step as an experiment file has it."""
    if step.operation == "alloc":
        return f"{step.variable} = alloc"
    named = f"#{step.number}" if step.number else step.variable
    owned = f"{step.owner}.{named}" if step.owner else named
    count = f"x{step.count}" if step.count > 1 else ""
    words = [step.operation, owned, step.device, count]
    return ("" if step.wait else NO_WAIT) + " ".join(word for word in words if word)
