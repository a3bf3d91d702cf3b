"""A trace file as calls: JSON Lines or the text of ftrace, plain or gzip; from outside (§1).

A file is read line by line, with limits for everything; what is wrong is said with file and line.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, cast

from protocol.errors import UnreadableError

LINE_MAX: Final = 1 << 16
LINES_MAX: Final = 8_000_000
BYTES_MAX: Final = 4 << 30
GZIP: Final = b"\x1f\x8b"


class Lines:
    """The lines of a file, each with its number; `where` says where one is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0

    @property
    def where(self) -> str:
        """File and line, as an error begins."""
        return f"{self.path}:{self.number}"

    def refuse(self, why: str) -> UnreadableError:
        """The error for this line."""
        return UnreadableError(f"{self.where}: {why}")

    def __iter__(self) -> Iterator[str]:
        self.number = 0
        size = 0
        try:
            with self._open() as file:
                while line := file.readline(LINE_MAX + 1):
                    self.number += 1
                    size += len(line)
                    if len(line) > LINE_MAX:
                        raise self.refuse(f"the line has more than {LINE_MAX:,} bytes")
                    if self.number > LINES_MAX or size > BYTES_MAX:
                        raise self.refuse("the file is too large")
                    yield self._text(line)
        except EOFError:
            raise self.refuse("the gzip file ends in the middle; copy it again") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self.refuse(f"the gzip file is damaged: {error}") from None
        except OSError as error:
            raise UnreadableError(f"{self.path}: cannot be read: {error.strerror}") from None

    def _open(self) -> IO[bytes]:
        if self.path.is_dir():
            raise UnreadableError(f"{self.path}: is a folder, not a trace")
        if self.path.exists() and not self.path.is_file():
            raise UnreadableError(f"{self.path}: is not a file")
        with self.path.open("rb") as file:
            packed = file.read(2) == GZIP
        return cast("IO[bytes]", gzip.open(self.path)) if packed else self.path.open("rb")

    def _text(self, line: bytes) -> str:
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError:
            raise self.refuse("is not text: a trace is JSON Lines or the text of ftrace") from None
