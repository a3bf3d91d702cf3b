"""`pasidlab list`: what there is."""

import inspect
from pathlib import Path
from typing import Final, get_args

import click

from experiments.harness.config import Fault, load
from experiments.harness.say import Voice, columns, fit
from protocol.errors import PasidlabError
from protocol.plan import MISBEHAVIOURS, OPERATIONS

FAULTS: Final = {
    "crash": "the host dies and comes back by its journal: to the protocol only a delay",
    "lose": "it never comes back; peers are told, a lost VM's files are closed",
    "pause": "it is stopped for a while, then goes on",
    "delay": "messages on its links wait for a while",
    "fail": "a fallible step (site) answers with the kernel's errno",
}
"""Faults that can be had now; the other names of the vocabulary come with later issues."""

NOUNS: Final = (
    "experiments", "properties", "faults", "operations", "misbehaviours", "strategies",
    "revisions", "sites", "runs",
)  # fmt: skip


@click.command("list", epilog="Nouns: " + ", ".join(NOUNS))
@click.argument("noun", type=click.Choice(NOUNS), metavar="NOUN")
@click.option("--verbose", "-v", is_flag=True, help="Say what each is.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--runs-dir", default="runs", show_default=True, help="Where runs are.")
def command(noun: str, *, verbose: bool, as_json: bool, runs_dir: str) -> int:
    r"""What experiments, properties, faults and so on there are.

    \b
    Examples:
      pasidlab list properties -v
      pasidlab list experiments
      pasidlab list faults --json
    """
    voice = Voice(json=as_json)
    things = _things(noun, Path(runs_dir))
    voice.object(things)
    if verbose:
        for name, about in things.items():
            voice.answer(click.style(name, bold=True) if voice.colour else name)
            for line in about.splitlines():
                voice.answer(f"    {line}" if line else "")
    else:
        for line in columns([(n, (a.splitlines() or [""])[0]) for n, a in things.items()], ""):
            voice.answer(fit(line))
    return 0


def _things(noun: str, runs: Path) -> dict[str, str]:
    match noun:
        case "experiments":
            return _experiments()
        case "properties":
            return _properties()
        case "faults":
            later = "comes with a later issue"
            return {fault: FAULTS.get(fault, later) for fault in get_args(Fault)}
        case "operations":
            return dict(OPERATIONS)
        case "misbehaviours":
            return dict(MISBEHAVIOURS)
        case "strategies":
            return {"random": "random walk over what can happen next, faults weighted down"}
        case "revisions":
            return {"sound": "V4 with KVM and VDCM from DCP, every known hole mended"}
        case "sites":
            return _sites()
        case _:
            return _runs(runs)


def _experiments() -> dict[str, str]:
    root = Path(__file__).resolve().parents[1]
    found = {}
    for path in sorted(root.glob("*/*.toml")):
        try:
            shown = path.relative_to(Path.cwd())
        except ValueError:
            shown = path
        try:
            experiment = load(path)
            found[str(shown)] = f"{experiment.title}\n{experiment.source}"
        except PasidlabError as error:
            found[str(shown)] = f"(wrong: {error})"
    return found


def _properties() -> dict[str, str]:
    from protocol.properties import PROPERTIES

    return {
        kind.name: f"{inspect.getdoc(kind) or ''}\n{kind.kind.value}  {kind.invariant}  "
        f"source: {kind.source}"
        for kind in PROPERTIES
    }


def _sites() -> dict[str, str]:
    from clusters.cluster import ROLES

    return {
        site.name: f"{role} answers {site.errno.value}"
        for role, kind in ROLES.items()
        for site in kind.SITES
    }


def _runs(runs: Path) -> dict[str, str]:
    found = {}
    for folder in sorted(runs.glob("*/*")):
        if folder.is_symlink() or not folder.is_dir():
            continue
        whole = (folder / "result.json").exists()
        found[str(folder)] = "whole" if whole else "cut off: no result.json"
    return found
