"""How far a verb has come: a bar for whoever watches, else a plain line now and then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

from msgspec import Struct

from experiments.harness.say import Voice, many, moving

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_EVERY_S: Final = 10.0


class Told(Protocol):
    """What can be told while it goes on: how many of what, and what was found."""

    @property
    def unit(self) -> str:
        """What is counted, in the plural."""

    @property
    def schedules(self) -> int:
        """How many."""

    def found(self) -> str:
        """What was found, in a few words."""


class Count(Struct):
    """What is counted; `witnesses`, `strategies`: in how many schedules, how many of each."""

    unit: ClassVar[str] = "schedules"

    schedules: int = 0
    steps: int = 0
    violating: int = 0
    restless: int = 0
    witnesses: dict[str, int] = {}
    strategies: dict[str, int] = {}

    def seen(self) -> str:
        """How many of the witnesses were seen."""
        seen = sum(1 for count in self.witnesses.values() if count)
        return f"{seen}/{len(self.witnesses)} witnesses"

    def found(self) -> str:
        """What was seen, and what was violated."""
        return f"{self.seen()}, {many(self.violating, 'violation')}"


class Plain:
    """A line on stderr every ten seconds."""

    def __init__(self, voice: Voice, name: str, total: int) -> None:
        self.voice = voice
        self.name = name
        self.total = total
        self.began = self.said = time.monotonic()

    def __call__(self, count: Told) -> None:
        now = time.monotonic()
        if now - self.said < PLAIN_EVERY_S:
            return
        self.said = now
        rate = count.schedules / (now - self.began)
        of = f"/{self.total:,}" if self.total else ""
        self.voice.talk(
            f"{self.name}: {count.schedules:,}{of} {count.unit}, {rate:,.0f}/s, {count.found()}"
        )


class Bar:
    """The same as one line that moves, with the time that is left."""

    def __init__(self, progress: "Progress", task: "TaskID") -> None:
        self.progress = progress
        self.task = task

    def __call__(self, count: Told) -> None:
        self.progress.update(self.task, completed=count.schedules, found=count.found())


@contextmanager
def progress(voice: Voice, name: str, total: int) -> Iterator[Plain | Bar]:
    """Call it with what is counted after each schedule."""
    if voice.quiet or not moving():
        yield Plain(voice, name, total)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    shown = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TextColumn("{task.fields[found]}"),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True, no_color=not voice.colour),
        transient=True,
    )
    with shown:
        yield Bar(shown, shown.add_task(name, total=total or None, found=""))
