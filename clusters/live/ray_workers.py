"""Workers that are tasks on a Ray cluster: our own, or one that the user named.

A task whose worker process dies is done again by another: Ray sees to that.
"""

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from clusters.live.interruption import listen, shielded
from clusters.live.ray_cluster import RayCluster, first_line
from clusters.tasks import TRIES_MAX, Desk, Dispatch, Reply, Task, read_reply
from clusters.workers import Answer, Job, Shared, cores
from protocol.errors import ClusterError

if TYPE_CHECKING:
    from ray import ObjectRef

    Submit = Callable[[ObjectRef[bytes], Task], ObjectRef[tuple[int, bytes]]]

DEPTH: Final = 2
"""Tasks for each CPU at a time: the second is there when the first is done."""
WORTHWHILE_SECONDS: Final = 0.1
WAIT_SECONDS: Final = 1.0
"""Then Ray lets Ctrl-C through."""
DESK: Final = Desk()
"""Of a worker process; what one task was told, the next one knows."""


class RayWorkers:
    """A context.  `jobs` of them, 0: as many as the cluster has CPUs.

    `notice` is told on which cluster they are.  `inside`: one that runs already, and goes on
    running afterwards.
    """

    worthwhile = WORTHWHILE_SECONDS

    def __init__(
        self,
        jobs: int = 0,
        address: str = "",
        notice: Callable[[str], None] = lambda _: None,
        inside: RayCluster | None = None,
    ) -> None:
        self.count = jobs
        self.pids: list[int] = []
        """Processes that have done something, the latest last."""
        self._notice = notice
        cpus = jobs or cores()
        self._cluster = inside or RayCluster(cpus, address, cpus=cpus)
        self._ours = inside is None
        self._dispatch = Dispatch(self)
        self._doing: list[ObjectRef[tuple[int, bytes]]] = []
        self._charge: tuple[bytes, ObjectRef[bytes]] | None = None
        """The last one, and where Ray keeps it."""

        self._submit: Submit | None = None

    def __enter__(self) -> Self:
        import ray

        if self._ours:
            self._cluster.__enter__()
        try:
            listen()
            self._notice(self._cluster.name)
            cpus = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.count = self.count or max(1, cpus)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with shielded():
            self._cancel()
            if self._ours:
                self._cluster.__exit__(kind, error, trace)

    def map(
        self,
        work: Callable[[Shared, Job], Answer],
        shared: Shared,
        jobs: Iterable[Job],
        lane: Callable[[Job], int] | None = None,
    ) -> Generator[Answer, None, None]:
        return self._dispatch.map(work, shared, jobs, lane)

    def room(self) -> bool:
        return len(self._doing) < DEPTH * self.count

    def take(self, task: Task) -> None:
        import ray

        if self._charge is None or self._charge[0] != task.key:
            self._charge = task.key, ray.put(task.charge)
        if self._submit is None:
            self._submit = ray.remote(num_cpus=1, max_retries=TRIES_MAX - 1)(do).remote
        self._doing.append(self._submit(self._charge[1], task._replace(charge=b"")))

    def done(self, *, wait: bool) -> list[Reply]:
        import ray
        from ray.exceptions import RayError

        ready: list[ObjectRef[tuple[int, bytes]]] = []
        while self._doing and not ready:
            timeout = WAIT_SECONDS if wait else 0.0
            ready, self._doing = ray.wait(self._doing, num_returns=1, timeout=timeout)
            if not wait:
                break
        replies = []
        for one in ready:
            try:
                pid, reply = ray.get(one)
            except RayError as error:
                raise ClusterError(f"Ray did not do a job: {first_line(error)}") from error
            self.pids = [*(known for known in self.pids if known != pid), pid]
            replies.append(read_reply(reply))
        return replies

    def _cancel(self) -> None:
        """What nobody waits for any more."""
        import ray
        from ray.exceptions import RayError

        doing, self._doing = self._doing, []
        for one in doing if ray.is_initialized() else ():
            with suppress(RayError):
                ray.cancel(one, force=True)


def do(charge: bytes, task: Task) -> tuple[int, bytes]:
    """What a Ray worker does: the task; who did it, and the reply."""
    return os.getpid(), DESK.do(task._replace(charge=charge))
