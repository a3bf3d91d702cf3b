"""A Redis server of our own, on loopback and a free port: for a test, for a bench.

It keeps nothing unless its options say so, is ended by its pid, and touches no other server.
"""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from protocol.errors import ClusterError

LOOPBACK: Final = "127.0.0.1"
READY: Final = "Ready to accept connections"
STOP_SECONDS: Final = 30


def why_none() -> str:
    """What is missing for one; "" if nothing is."""
    if shutil.which("redis-server") is None:
        return "redis-server is not installed (Debian: apt-get install redis-server)"
    if find_spec("redis") is None:
        return "the Python package 'redis' is not installed (pip install pasidlab[live])"
    return ""


class RedisServer:
    """`address` is what the address of a journal on it begins with; `folder` has its files."""

    def __init__(self, folder: Path, *options: str) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise ClusterError(why_none())
        with socket.socket() as one:
            one.bind((LOOPBACK, 0))
            port = one.getsockname()[1]
        self.address = f"redis://{LOOPBACK}:{port}/0"
        self._command = [
            program, "--bind", LOOPBACK, "--port", str(port), "--dir", str(folder),
            "--save", "", "--daemonize", "no", *options,
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        """Until it takes connections."""
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        said = ""
        for said in self.process.stdout:
            if READY in said:
                return
        raise ClusterError(f"redis-server does not start: {said.strip()}")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, and see it gone."""
        if self.process.returncode is None:
            self.process.send_signal(number)
            self.process.communicate(timeout=STOP_SECONDS)


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    """For as long as it is wanted."""
    running = RedisServer(folder, *options)
    try:
        yield running
    finally:
        running.stop()
