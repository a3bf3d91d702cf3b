"""The command `pasidlab`.  Each verb is a module of its own, imported when it is used.

Exit codes: 0 every property held and every witness was seen; 1 a violation; 2 the command or
the experiment file is wrong; 3 unknown; 4 divergence; 5 the cluster failed; 70 our bug;
130 interrupted.
"""

import errno
import importlib
import io
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import Final, cast

import click
import msgspec

from clusters.uncollected import collect_seldom
from experiments.harness.interruption import listening
from experiments.harness.options import EXIT_CODES, write_examples
from experiments.harness.result import RESULT_FORMAT, Exit, Status
from experiments.harness.say import complain, hush
from protocol.errors import (
    ClusterError,
    DivergedError,
    IncompleteError,
    PasidlabError,
    nearest,
)

VERBS: Final = {
    "run": "one run in the simulator, one seed",
    "explore": "many schedules in the simulator; stops at the first violation",
    "replay": "one schedule again, from a counterexample file or a token",
    "shrink": "make a counterexample smaller, and say whether it is minimal",
    "check": "properties over a stored history, from either world",
    "chaos": "the experiment on live Ray actors, with real faults",
    "cluster": "a Ray cluster of several nodes on this machine: up, status, down",
    "compare": "revisions side by side, on the same schedules",
    "bank": "every known bug, found again; the sound protocol silent",
    "conform": "calls recorded on a kernel: are they explained by our actors",
    "show": "a known bug or a counterexample as a story, or as a mail has it",
    "list": "what there is: experiments, properties, faults, runs, ...",
    "schema": "JSON Schema of the experiment file, the record, the result",
    "doctor": "versions, determinism, Ray, disk",
    "bench": "how fast it is on this machine",
}
LATER: Final = (
    "report", "query", "clean",
    "watch", "topology",
)  # fmt: skip
HELP: Final = "Users of a PASID as actors: run them, break things, read a verdict."
EXAMPLES: Final = (
    "pasidlab explore experiments/ioasid/free_before_unbind.toml --schedules 1000",
    "pasidlab run experiments/ioasid/normal_life.toml --seed 0x5eed",
    "pasidlab chaos experiments/chaos/kill_everyone.toml --for 30s",
)
DISK: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""What a disk or an output says that takes no more."""


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
        verb = args[0] if args else ""
        if verb in LATER:
            ctx.fail(f"'{verb}' comes with a later issue (verbs: {', '.join(VERBS)})")
        if verb not in VERBS and not verb.startswith("-"):
            ctx.fail(f"'{verb}' is not a verb{nearest(verb, VERBS)} (verbs: {', '.join(VERBS)})")
        return super().resolve_command(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        write_examples(formatter, EXAMPLES)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # Click would make 1 of it, and 1 is a violation.
            hush()
            return Exit.PASS


@click.group(
    cls=Verbs,
    help=HELP,
    epilog=EXIT_CODES,
    context_settings={"max_content_width": 80},
    options_metavar="",
    subcommand_metavar="VERB [WHAT] [OPTIONS]",
)
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
    given = list(sys.argv[1:] if words is None else words)
    _open_streams()
    collect_seldom()
    with listening():
        code = _run(given)
    sys.exit(code)


def _run(words: list[str]) -> int:
    as_json = "--json" in words
    try:
        code = pasidlab.main(args=words, prog_name="pasidlab", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _leave("interrupted", Exit.INTERRUPTED, as_json=as_json)
    except click.ClickException as error:
        return _leave(_usage(error), Exit.USAGE, as_json=as_json)
    except PasidlabError as error:
        return _leave(str(error), exit_of(error), as_json=as_json)
    except SystemExit:  # Click's way out when nobody reads its help any more.
        hush()
        return Exit.PASS
    except OSError as error:
        if error.errno in DISK:
            sentence = f"{error.filename or 'the output'}: cannot be written: {error.strerror}"
            return _leave(sentence, Exit.USAGE, as_json=as_json)
        return _leave(_our_bug(error), Exit.OUR_BUG, as_json=as_json)
    except Exception as error:  # noqa: BLE001  whatever is left is our bug, and says so
        return _leave(_our_bug(error), Exit.OUR_BUG, as_json=as_json)
    return code if isinstance(code, int) else 0


def _leave(sentence: str, code: Exit, *, as_json: bool) -> int:
    """Say why there is no verdict, on stderr, and with --json as the one object too."""
    first, newline, rest = sentence.partition("\n")
    complain(f"{first}  (exit {int(code)}){newline}{rest}")
    if as_json:
        word = {
            Exit.UNKNOWN: Status.UNKNOWN,
            Exit.DIVERGED: Status.DIVERGED,
            Exit.CLUSTER: Status.CLUSTER,
            Exit.INTERRUPTED: Status.INTERRUPTED,
        }.get(code, Status.NOT_RUN)
        answer = {"format": RESULT_FORMAT, "verdict": word, "exit_code": code, "reasons": [first]}
        try:
            click.echo(msgspec.json.encode(answer))
        except OSError:
            hush()
    return code


def _usage(error: click.ClickException) -> str:
    """What is wrong with the command line, and where it says what is right."""
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return message
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        missing = "a verb" if context.parent is None else f"{context.command_path}: an action"
        group = cast("click.Group", context.command)
        words = ", ".join(group.list_commands(context))
        return f"{missing} is missing (one of: {words})\n{context.get_help()}"
    path = context.command_path
    usage = " ".join([path, *context.command.collect_usage_pieces(context)])
    sentence = f"{path}: {message[:1].lower()}{message[1:]}"
    return f"{sentence}\n  usage  {usage}\n  help   {path} --help"


def _our_bug(error: Exception) -> str:
    """One sentence; the traceback goes to a file, because it is for us."""
    text = traceback.format_exc()
    try:
        handle, name = tempfile.mkstemp(prefix="pasidlab-bug-", suffix=".txt")
        with os.fdopen(handle, "w") as file:
            file.write(text)
    except OSError:
        name = f"nowhere, as the disk takes nothing:\n{text}"
    notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
    said = str(error) or "an assertion does not hold"
    return f"this is a bug in pasidlab: {type(error).__name__}: {said}; details in {name}{notes}"


def _open_streams() -> None:
    """A stream that the caller has closed takes everything and shows nothing."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, "w"), write_through=True))


if __name__ == "__main__":
    main()
