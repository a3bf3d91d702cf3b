"""Processes on other machines of a cluster that the user named: a small actor on each does it.

What it is told to do it does to a process of its own machine, by pid and start time, and answers
when it has seen it done.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, cast

from msgspec import Struct

from clusters.live.processes import Process, process
from clusters.live.ray_cluster import first_line
from protocol.errors import ClusterError

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

T = TypeVar("T")
ANSWER_SECONDS: Final = 20.0


class Hand:
    """On each machine one."""

    def began(self, pid: int) -> int:
        """When the process that has this number began; 0: there is none."""
        found = process(pid)
        return found.began if found is not None else 0

    def state(self, pid: int, began: int) -> str:
        """As `/proc` says."""
        return Process(pid, began).state

    def kill(self, pid: int, began: int) -> None:
        """SIGKILL, seen."""
        Process(pid, began).kill()

    def pause(self, pid: int, began: int) -> None:
        """SIGSTOP, seen."""
        Process(pid, began).pause()

    def resume(self, pid: int, began: int) -> None:
        """SIGCONT, seen."""
        Process(pid, began).resume()

    def sees(self, path: str) -> bool:
        """Whether this file is there, too."""
        return Path(path).exists()


class Far(Struct, frozen=True):
    """A process on another machine; `Held` of it."""

    hand: "ActorHandle[Hand]"
    pid: int
    began: int

    @property
    def state(self) -> str:
        """A machine that does not answer has no processes any more."""
        try:
            return _answer(self.hand.state.remote(self.pid, self.began))
        except ClusterError:
            return ""

    def kill(self) -> None:
        """SIGKILL."""
        _answer(self.hand.kill.remote(self.pid, self.began))

    def pause(self) -> None:
        """SIGSTOP."""
        _answer(self.hand.pause.remote(self.pid, self.began))

    def resume(self) -> None:
        """SIGCONT."""
        _answer(self.hand.resume.remote(self.pid, self.began))


class Hands:
    """One on each of the nodes, by node id; a node can be named by its name, too."""

    def __init__(self, nodes: dict[str, str]) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        remote = ray.remote(Hand)
        self._hands: dict[str, ActorHandle[Hand]] = {}
        for node_id, name in nodes.items():
            strategy = NodeAffinitySchedulingStrategy(node_id, soft=False)
            options = remote.options(num_cpus=0, scheduling_strategy=strategy)
            hand = cast("ActorHandle[Hand]", options.remote())
            self._hands[node_id] = self._hands[name] = hand

    def find(self, node: str, pid: int) -> Far | None:
        """The process that has this number there."""
        hand = self._hands.get(node)
        if hand is None:
            return None  # A node that came later: what is there is left alone.
        began: int = _answer(hand.began.remote(pid))
        return Far(hand, pid, began) if began else None

    def blind(self, path: str) -> list[str]:
        """Nodes that do not see this file, which is on a disk of ours."""
        return [node for node, hand in self._hands.items() if not _answer(hand.sees.remote(path))]


def _answer(call: "ObjectRef[T]") -> T:
    import ray

    try:
        return ray.get(call, timeout=ANSWER_SECONDS)
    except ray.exceptions.RayTaskError as error:
        raise ClusterError(first_line(error.cause)) from error
    except ray.exceptions.RayError as error:
        raise ClusterError(f"a node does not answer: {first_line(error)}") from error
