"""Zombies: a host that is stopped, replaced meanwhile, and wakes beside the one in its place.

Ray can do that to any host, so it is done on purpose.  The one in its place raises the epoch in the
journal; whoever wakes then can append nothing, finds itself fenced, and is ended and replaced in
its turn.
"""

import time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, structs

from protocol.errors import ClusterError
from protocol.names import Name

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

    from clusters.live.ray_host import RayHost
    from clusters.live.supervisor import HostView, Supervisor

PLACED_SECONDS: Final = 20.0
"""How long the one in its place may take to begin."""


class Second(Struct):
    """Who stands in the place of a host that is stopped, what it says, since when it is asked."""

    handle: "ActorHandle[RayHost]"
    pong: "ObjectRef[bytes]"
    since: float


class Zombies:
    """Hosts that are stopped, and replaced."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._seconds: dict[Name, Second] = {}
        self.failed: list[str] = []
        """Who was not replaced, and why."""

    def replace(self, view: "HostView") -> None:
        """Begin another incarnation of the host; nobody talks to it."""
        elsewhere = f"{view.charge.namespace}-{view.name}-{view.epoch}"
        handle = self._supervisor.begin(structs.replace(view.charge, namespace=elsewhere))
        self._seconds[view.name] = Second(handle, handle.ping.remote(), time.monotonic())

    def coming(self, view: "HostView") -> bool:
        """Whether nobody has begun in its place yet: then it stays stopped."""
        import ray

        second = self._seconds.get(view.name)
        if second is None or time.monotonic() - second.since > PLACED_SECONDS:
            return False
        return not ray.wait([second.pong], timeout=0)[0]

    def placed(self, view: "HostView") -> bool:
        """Whether the host, which is to wake now, was replaced.

        One that was stopped while it wrote its journal keeps others from it, and was not.
        """
        from clusters.live.ray_host import Pong, answer

        second = self._seconds.get(view.name)
        if second is None:
            return False
        try:
            pong = msgspec.msgpack.decode(answer(second.pong, 0), type=Pong)
        except ClusterError as error:
            self._fail(view, str(error))
            return False
        if pong.epoch <= view.epoch:
            self._fail(view, pong.failure.message if pong.failure else "it has no new epoch")
            return False
        self._supervisor.spare(view.node, others=1)
        self._supervisor.log("host.placed", host=view.name, epoch=pong.epoch, pid=pong.pid)
        return True

    def end(self, view: "HostView") -> None:
        """The one in its place has done what it was there for."""
        import ray

        second = self._seconds.pop(view.name, None)
        if second is not None:
            ray.kill(second.handle, no_restart=True)

    def _fail(self, view: "HostView", why: str) -> None:
        self.failed.append(f"pause of {view.name}: it was not replaced: {why}")
        self._supervisor.log("host.not-placed", host=view.name, message=why)
