"""What a worker process does: tasks, one after another, until its parent is gone.

A thread of its own waits for tasks, so that the end of the parent is noticed in the middle of one.
Ctrl-C is the parent's affair.
"""

import os
import signal
import sys
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread

from clusters.tasks import Desk, Task
from clusters.uncollected import collect_seldom


def main() -> None:
    """Serve the parent at the other end of the pipe whose number is the first argument."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    collect_seldom()
    parent: Connection[bytes, Task] = Connection(int(sys.argv[1]))
    tasks: SimpleQueue[Task] = SimpleQueue()
    Thread(target=_listen, args=(parent, tasks), daemon=True).start()
    desk = Desk()
    while True:
        parent.send_bytes(desk.do(tasks.get()))


def _listen(parent: "Connection[bytes, Task]", tasks: SimpleQueue[Task]) -> None:
    try:
        while True:
            tasks.put(parent.recv())
    finally:  # The parent has closed the pipe, or is dead: nobody wants an answer any more.
        os._exit(0)


if __name__ == "__main__":
    main()
