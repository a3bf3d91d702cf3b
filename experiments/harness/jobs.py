"""How many do the work of a verb, and where: `-j`, `--on`, `--address`, and who they stand for."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar

import click
from msgspec import Struct

from clusters.workers import Here, Workers, cores
from experiments.harness.options import OneOf
from experiments.harness.say import Voice

F = TypeVar("F", bound=Callable[..., Any])
JOBS_MAX: Final = 256
ALL: Final = 0
"""As many as there are cores."""
HERE, RAY = "here", "ray"


class JobCount(click.ParamType[int]):
    """How many jobs at once; 0 and `auto`: one for each core."""

    name = "n"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        text = str(value).strip()
        if text == "auto":
            return ALL
        if not (text.isascii() and text.isdecimal() and int(text[:20]) <= JOBS_MAX):
            self.fail(
                f"'{value}' is not a number of jobs: 1 to {JOBS_MAX}, or 0 or auto for one on each"
                " core",
                param,
                ctx,
            )
        return int(text)


def jobs_options(verb: F) -> F:
    """-j, --on and --address."""
    for option in (
        click.option(
            "--address", default="", metavar="HOST:PORT",
            help="With --on ray: a Ray cluster to attach to (default: start our own).",
        ),
        click.option(
            "--on", "place", type=OneOf("a place to work", (HERE, RAY)), default=HERE,
            metavar="PLACE", help="here (default), or ray: as tasks of a Ray cluster.",
        ),
        click.option(
            "-j", "--jobs", type=JobCount(), envvar="PASIDLAB_JOBS", metavar="N",
            help="Worker processes, 0 or auto: one for each core (default: none; on Ray: all"
            " there are); or set PASIDLAB_JOBS.  What is found is the same.",
        ),
    ):  # fmt: skip
        verb = option(verb)
    return verb


class Jobs(Struct, frozen=True):
    """What was asked for; `number` None: nothing was said."""

    number: int | None = None
    place: str = HERE
    address: str = ""

    def workers(self, voice: Voice) -> AbstractContextManager[Workers]:
        """They are there inside it."""
        if self.place == RAY:
            from clusters.live.ray_workers import RayWorkers

            return RayWorkers(
                self.number or ALL, self.address, lambda name: voice.talk(f"ray        {name}")
            )
        if self.address:
            raise click.UsageError(
                "--address names a Ray cluster, so it goes with --on ray",
                click.get_current_context(),
            )
        number = cores() if self.number == ALL else self.number or 1
        if number == 1:
            return nullcontext(Here())
        from clusters.worker_processes import Processes

        return Processes(number, notice=voice.talk)
