"""What a simulated run came to."""

from hashlib import blake2b
from typing import TYPE_CHECKING

from clusters.judge import Verdict, Violation
from clusters.sim.tape import Tape
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import World


class RunResult:
    """What a run came to.  The world is still there, as it was at the end."""

    __slots__ = ("loop", "quiet", "verdict", "world")

    def __init__(self, world: "World", verdict: Verdict, *, quiet: bool, loop: int = 0) -> None:
        self.world = world
        self.verdict = verdict
        self.quiet = quiet
        """Nothing was left to happen."""
        self.loop = loop
        """How many of the last choices led back to where they began, and so for ever."""

    @property
    def steps(self) -> int:
        """Deliveries."""
        return self.world.step

    @property
    def violations(self) -> list[Violation]:
        """What properties said, in order."""
        return self.world.judge.violations

    @property
    def witnesses(self) -> dict[str, int]:
        """How often each *sometimes* happened."""
        return self.world.judge.witnesses

    @property
    def faults(self) -> dict[str, int]:
        """How often which fault hit whom: "crash vm1.kvm"."""
        return self.world.faults.begun

    @property
    def passages(self) -> dict[tuple[Name, str], int]:
        """How often each actor passed each of its fallible steps."""
        return self.world.passages

    @property
    def tape(self) -> Tape:
        """The schedule, by name."""
        world, strategy = self.world, self.world.strategy
        made = world.book.named(world.network.names)
        return Tape(strategy.name, strategy.seed, made, self.end, loop=self.loop)

    @property
    def end(self) -> str:
        """A hash of all actors as they are now."""
        hosts = self.world.hosts.values()
        states = b"".join([host.name.encode() + host.state_hash() for host in hosts])
        return blake2b(states, digest_size=16).hexdigest()
