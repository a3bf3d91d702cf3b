"""A Redis server of our own, on loopback and a free port, for as long as a test wants it."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = shutil.which("redis-server")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """`address` is what a journal's address begins with."""

    def __init__(self, folder: Path, *options: str) -> None:
        if PROGRAM is None:
            pytest.skip("redis-server is not installed (Debian: apt-get install redis-server)")
        pytest.importorskip("redis", reason="the package 'redis' is not installed ([live])")
        self.port = free_port()
        self.address = f"redis://127.0.0.1:{self.port}/0"
        self.command = [
            PROGRAM, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(folder),
            "--save", "", "--daemonize", "no", *options,
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line)
            if "Ready to accept connections" in line:
                return
        raise AssertionError(said)

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.communicate()


@contextmanager
def server(folder: Path, *options: str) -> Iterator[Server]:
    running = Server(folder, *options)
    try:
        yield running
    finally:
        if running.process.returncode is None:
            running.stop()
