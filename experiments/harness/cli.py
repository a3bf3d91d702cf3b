"""The command `pasidlab`.  Each verb is a module of its own, imported when it is used.

Exit codes: 0 every property held and every witness was seen; 1 a violation; 2 the command or
the experiment file is wrong; 3 unknown; 4 divergence; 5 the cluster failed; 70 our bug;
130 interrupted.
"""

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from experiments.harness.result import Exit
from protocol.errors import (
    ClusterError,
    DivergedError,
    IncompleteError,
    PasidlabError,
)

VERBS: Final = {
    "run": "one run in the simulator, one seed",
    "explore": "many schedules in the simulator; stops at the first violation",
    "replay": "one schedule again, from a token or a counterexample file",
    "check": "properties over a stored history, from either world",
    "chaos": "the experiment on live Ray actors, with real faults; then check and re-execute",
    "list": "what experiments, properties, faults, operations, runs and so on there are",
    "schema": "JSON Schema of the experiment file, the record, the result",
    "doctor": "versions, determinism, Ray, disk",
}
LATER: Final = (
    "shrink", "report", "compare", "query", "bank", "conform", "bench", "cluster", "clean", "show",
    "watch", "topology",
)  # fmt: skip
EPILOG: Final = """\b
Exit codes: 0 all held and every witness seen, 1 violation, 2 wrong command or
file, 3 unknown, 4 divergence, 5 the cluster failed, 70 our bug, 130 interrupted.
"""
HELP: Final = """Users of a PASID as actors: run them, break things, read a verdict.

\b
Examples:
  pasidlab explore experiments/ioasid/free_before_unbind.toml --schedules 10000
  pasidlab run experiments/ioasid/normal_life.toml --seed 0x5eed
  pasidlab chaos experiments/chaos/kill_everyone.toml --for 30s
"""


class Verbs(click.Group):
    """The verbs, found by name; a module is imported only when its verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"experiments.harness.verb_{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in LATER:
            ctx.fail(f"'{args[0]}' comes with a later issue. Verbs: {', '.join(VERBS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, help=HELP, epilog=EPILOG, context_settings={"max_content_width": 80})
@click.version_option(package_name="pasidlab", prog_name="pasidlab")
def pasidlab() -> None:
    """The group; its help is `HELP`."""


def exit_of(error: PasidlabError) -> Exit:
    """The exit code of what ended a run."""
    match error:
        case IncompleteError():
            return Exit.UNKNOWN
        case DivergedError():
            return Exit.DIVERGED
        case ClusterError():
            return Exit.CLUSTER
        case _:
            return Exit.USAGE


def main(words: Sequence[str] | None = None) -> None:
    """The command; every way out has its exit code and no traceback shows."""
    try:
        code = pasidlab.main(args=words, prog_name="pasidlab", standalone_mode=False)
    except click.exceptions.Abort:
        _leave("interrupted", Exit.INTERRUPTED)
    except KeyboardInterrupt:
        _leave("interrupted", Exit.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.USAGE)
    except BrokenPipeError:
        # Whoever read us has gone; what is left in the buffer has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.PASS)
    except PasidlabError as error:
        _leave(str(error), exit_of(error))
    except Exception as error:  # noqa: BLE001  whatever is left is our bug, and says so
        _leave(_our_bug(error), Exit.OUR_BUG)
    sys.exit(code if isinstance(code, int) else 0)


def _leave(sentence: str, code: Exit) -> None:
    click.echo(f"{sentence}  (exit {int(code)})", err=True)
    sys.exit(code)


def _our_bug(error: Exception) -> str:
    """One sentence; the traceback goes to a file, because it is for us."""
    handle, name = tempfile.mkstemp(prefix="pasidlab-bug-", suffix=".txt")
    with os.fdopen(handle, "w") as file:
        file.write(traceback.format_exc())
    return f"this is a bug in pasidlab: {type(error).__name__}: {error}; details in {Path(name)}"


if __name__ == "__main__":
    main()
