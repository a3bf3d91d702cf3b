"""The bench: some hosts of a machine, driven by hand; everybody else is played by the test."""

from collections import deque
from typing import TypeVar

from clusters.cluster import build
from clusters.host import Host
from clusters.judge import Judge
from clusters.moments import Moment
from protocol.effects import Send
from protocol.facts import Event
from protocol.machine import Machine
from protocol.messages import AnyMessage, Start
from protocol.names import SUPERVISOR, Name
from protocol.properties import PROPERTIES

F = TypeVar("F", bound=Event)
Sent = tuple[Name, Name, AnyMessage, Moment | None]
"""Who sent what to whom, and in which input (None: the test did)."""


class Bench:
    """Hosts that hear what they are told, and then each other, in the order of sending."""

    def __init__(self, machine: Machine, *names: Name) -> None:
        actors = build(machine, {})
        self.hosts = {name: Host(name, actors[name]) for name in names}
        self.judge = Judge(machine, PROPERTIES)
        self.facts: list[Event] = []
        for name in names:
            self.say(SUPERVISOR, name, Start())

    def say(self, sender: Name, to: Name, message: AnyMessage) -> list[tuple[Name, AnyMessage]]:
        """What leaves the bench after this: to whom, and what."""
        first: Sent = (sender, to, message, None)
        waiting = deque([first])
        left: list[tuple[Name, AnyMessage]] = []
        while waiting:
            sender, to, message, origin = waiting.popleft()
            if to not in self.hosts:
                left.append((to, message))
                continue
            host = self.hosts[to]
            out = host.take(message, sender, origin)
            for fact in out.facts:
                self.facts.append(fact)
                assert not self.judge.observe(host.record(fact)), self.judge.violations[-1].sentence
            waiting.extend(
                (to, effect.to, effect.message, host.moment)
                for effect in out.effects
                if isinstance(effect, Send)
            )
        return left

    def of(self, kind: type[F]) -> list[F]:
        """The facts of this kind, in order."""
        return [fact for fact in self.facts if isinstance(fact, kind)]
