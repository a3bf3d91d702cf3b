"""The operational log: what hosts and the supervisor do, beside what the actors do.

structlog, one JSON object per line, one file per process, with the key names of the history, so
that `query` can join the two.  A line is written through at once: a killed process loses none.  A
disk that takes no more lines stops nobody: what counts is in the journals, and they do say so.
"""

from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from time import time_ns
from traceback import format_exc
from typing import cast

import structlog


class OperationsLog:
    """`<folder>/<name>.jsonl`; what is bound is on every line."""

    def __init__(self, folder: Path, name: str, **bound: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / f"{name}.jsonl").open("a", encoding="utf-8", buffering=1)
        logger = structlog.wrap_logger(
            structlog.WriteLogger(self._file),
            processors=[_stamp, structlog.processors.JSONRenderer()],
            wrapper_class=structlog.make_filtering_bound_logger(0),
            cache_logger_on_first_use=False,
        )
        self._logger = cast("structlog.typing.FilteringBoundLogger", logger.bind(**bound))

    def __call__(self, event: str, **fields: object) -> None:
        """One line."""
        with suppress(OSError):
            self._logger.info(event, **fields)

    def exception(self, event: str) -> None:
        """The exception that is being handled, with its trace."""
        trace = format_exc()
        with suppress(OSError):
            self._logger.error(event, level="error", trace=trace)

    def bind(self, **fields: object) -> None:
        """These are on every further line, too."""
        self._logger = self._logger.bind(**fields)

    def close(self) -> None:
        """Nothing more is said."""
        with suppress(OSError):
            self._file.close()


def _stamp(
    _logger: object, _method: str, event: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    return {"ts_ns": time_ns(), **event}
