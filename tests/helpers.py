"""What tests of actors share: one step, and nothing else."""

from typing import Protocol, TypeVar

from protocol.effects import CALM, Chance, Effect, Out, Send
from protocol.errors import Errno
from protocol.names import Name

M_contra = TypeVar("M_contra", contravariant=True)


class Handles(Protocol[M_contra]):
    """Any actor."""

    def handle(self, message: M_contra, sender: Name, out: Out) -> None:
        """One input."""


class Failing:
    """Chance in which the named sites fail, always."""

    def __init__(self, *sites: str, draws: tuple[int, ...] = ()) -> None:
        self.sites = sites
        self.draws = list(draws)

    def fails(self, actor: Name, site: str) -> bool:
        """Whether the site is one of those named."""
        return site in self.sites

    def draw(self, actor: Name, bound: int) -> int:
        """The next of the draws given, else 0."""
        return self.draws.pop(0) % bound if self.draws else 0


def step(
    actor: Handles[M_contra],
    message: M_contra,
    sender: Name,
    chance: Chance = CALM,
    name: Name = "under-test",
) -> Out:
    """Hand the actor one message; its effects and facts are in the answer."""
    out = Out(name, chance)
    actor.handle(message, sender, out)
    return out


def sent(out: Out) -> list[Effect]:
    """The messages that left, in order."""
    return [effect for effect in out.effects if isinstance(effect, Send)]


__all__ = ["Errno", "Failing", "sent", "step"]
