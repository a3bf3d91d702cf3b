"""Processes of Ray's that wait, with everything imported, for the next host that comes back.

To start one takes longer than all else when a host dies.  A raylet is asked for them itself: tasks
cannot leave one behind, for a process that has done a task is never given to an actor.  Imported
is what PRELOADED names, which Ray's processes do as they start.  A spare that is not there, or a
raylet that does not answer, costs time and nothing else.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ray.core.generated.node_manager_pb2_grpc import NodeManagerServiceStub

PRELOADED: Final = "clusters.live.ray_host"
"""What a host imports."""
SPARES: Final = 1
"""Of a node whose own processes alone may die."""
SPARES_MAX: Final = 4
"""Of a node that may have to take over the hosts of another; each is 50 MB."""
KEPT_SECONDS: Final = 24 * 3600
ANSWER_SECONDS: Final = 5.0


class Spares:
    """Asks raylets in a thread of its own: nobody waits for one that is slow or gone."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "spares")

    def keep(self, node: str, hosts: int, spares: int = SPARES) -> "Future[bool]":
        """There are so many hosts on the node: that more processes are there, or begin."""
        return self._thread.submit(_keep, node, hosts + spares)

    def end(self) -> None:
        """Whoever was not asked yet is not asked any more."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def spares_for(on_nodes: Iterable[int]) -> int:
    """How many a node needs if any other may be gone: all its hosts may come to this one."""
    return min(SPARES_MAX, max([SPARES, *on_nodes]))


def lacking(pids: Iterable[int], wanted: int) -> int:
    """How many more there are to be; a driver, which is one of those pids, hosts nothing."""
    return wanted - sum(pid != os.getpid() for pid in pids)


def _keep(node: str, wanted: int) -> bool:
    """Whether they are there already."""
    import grpc  # type: ignore[import-untyped]
    from ray.exceptions import RayError

    with suppress(RayError, grpc.RpcError):
        return _asked(node, lambda stub: _fill(stub, wanted))
    return False


def _asked(node: str, what: "Callable[[NodeManagerServiceStub], bool]") -> bool:
    """By the raylet of that node, of its life that is now."""
    import ray
    from ray._private.grpc_utils import init_grpc_channel
    from ray.core.generated.node_manager_pb2_grpc import NodeManagerServiceStub

    for one in ray.nodes():  # type: ignore[no-untyped-call]
        if one["Alive"] and node in (one["NodeID"], one["NodeName"]):
            at = f"{one['NodeManagerAddress']}:{one['NodeManagerPort']}"
            with init_grpc_channel(at) as channel:
                return what(NodeManagerServiceStub(channel))  # type: ignore[no-untyped-call]
    return False


def _fill(stub: "NodeManagerServiceStub", wanted: int) -> bool:
    import ray
    from ray.core.generated import common_pb2, node_manager_pb2

    asks: Any = node_manager_pb2  # Made from a description, at run time: they have no types.
    languages: Any = common_pb2
    there = stub.GetWorkerPIDs(asks.GetWorkerPIDsRequest(), timeout=ANSWER_SECONDS).pids
    missing = lacking(there, wanted)
    if missing <= 0:
        return True
    request = asks.PrestartWorkersRequest(
        language=languages.Language.PYTHON,
        job_id=bytes.fromhex(ray.get_runtime_context().get_job_id()),
        num_workers=missing,
        keep_alive_duration_secs=KEPT_SECONDS,
    )
    stub.PrestartWorkers(request, timeout=ANSWER_SECONDS)
    return False
