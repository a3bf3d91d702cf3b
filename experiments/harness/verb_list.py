"""`pasidlab list`: what there is."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Final, get_args

import click
from msgspec import Struct

from experiments.harness.options import OneOf, Verb, runs_option
from experiments.harness.say import Voice, columns
from protocol.errors import PasidlabError


class Thing(Struct, frozen=True, omit_defaults=True):
    """One thing there is: what it is, and what else belongs to it."""

    name: str
    about: str
    more: dict[str, str] = {}


NOUNS: Final = (
    "experiments", "properties", "invariants", "faults", "operations", "misbehaviours",
    "strategies", "revisions", "defects", "bugs", "sites", "runs",
)  # fmt: skip


@click.command(
    "list",
    cls=Verb,
    epilog=f"Nouns: {', '.join(NOUNS)}.",
    examples=(
        "pasidlab list properties -v",
        "pasidlab list experiments",
        "pasidlab list runs --json",
    ),
)
@click.argument("noun", type=OneOf("a noun", NOUNS), metavar="NOUN")
@click.option("-v", "--verbose", is_flag=True, help="All that is known of each.")
@runs_option("Where runs are")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--no-color", is_flag=True, help="No colours, also on a terminal.")
def command(noun: str, *, verbose: bool, as_json: bool, runs_dir: Path, no_color: bool) -> int:
    """What experiments, properties, faults and so on there are."""
    voice = Voice(json=as_json, colour=False if no_color else None)
    things = _runs(runs_dir) if noun == "runs" else MAKERS[noun]()
    voice.object({noun: things})
    if not verbose:
        for line in columns([(one.name, one.about.partition("\n")[0]) for one in things], ""):
            voice.row(line)
        return 0
    for one in things:
        voice.title(one.name)
        said = [*one.about.splitlines(), *(f"{key}: {text}" for key, text in one.more.items())]
        for line in said:
            voice.answer(f"    {line}".rstrip())
    return 0


def _experiments() -> list[Thing]:
    from experiments.harness.config import load
    from experiments.harness.reading import EXPERIMENTS, shown

    found = []
    for path in sorted(EXPERIMENTS.glob("*/*.toml")):
        try:
            experiment = load(path)
            more = {"source": experiment.source} if experiment.source else {}
            found.append(Thing(shown(path), experiment.title, more))
        except PasidlabError as error:
            found.append(Thing(shown(path), f"(wrong: {error})"))
    return found


def _properties() -> list[Thing]:
    from protocol.properties import PROPERTIES

    return [
        Thing(
            kind.name,
            inspect.getdoc(kind) or "",
            {"kind": kind.kind.value, "invariant": kind.invariant, "source": kind.source},
        )
        for kind in PROPERTIES
    ]


def _invariants() -> list[Thing]:
    from experiments.harness.invariants import breakers, holders, says

    broken = breakers()
    things = []
    for rule, held in holders().items():
        names = ", ".join(one.name for one in held) or "no property yet"
        more = {"says": " ".join(says(one) for one in held)}
        by = dict.fromkeys(name for one in held for name in broken[one.name])
        things.append(Thing(rule, names, {**more, "broken by": ", ".join(by)} if held else {}))
    return things


def _faults() -> list[Thing]:
    from clusters.nemesis import FAULTS
    from experiments.harness.tables import Fault

    assert list(get_args(Fault)) == list(FAULTS)
    return [Thing(fault, about) for fault, about in FAULTS.items()]


def _operations() -> list[Thing]:
    from protocol.calls import CALLS
    from protocol.plan import OPERATIONS, SVA_OPERATIONS

    return [
        *(Thing(name, about) for name, about in OPERATIONS.items()),
        *(Thing(name, f"process (iommufd): {about}") for name, about in SVA_OPERATIONS.items()),
        *(
            Thing(name, f"caller: {one.about}", {"arguments": ", ".join(one.arguments)})
            for name, one in CALLS.items()
        ),
    ]


def _misbehaviours() -> list[Thing]:
    from protocol.plan import MISBEHAVIOURS

    return [Thing(name, about) for name, about in MISBEHAVIOURS.items()]


def _strategies() -> list[Thing]:
    from clusters.sim.search import SEARCHES
    from clusters.sim.strategies import CAMPAIGNS

    return [Thing(name, about) for name, about in {**CAMPAIGNS, **SEARCHES}.items()]


def _revisions() -> list[Thing]:
    from clusters.lineup import SOUND
    from experiments.harness.comparing import every

    sound = Thing(SOUND, "V4 with KVM and VDCM from DCP, every known hole mended")
    return [*(_played(name) for name in every() if name != SOUND), sound]


def _defects() -> list[Thing]:
    from clusters.lineup import defects

    return list(map(_played, defects()))


def _bugs() -> list[Thing]:
    from experiments.harness.banking import bugs

    return [
        Thing(
            name,
            one.title,
            {
                "played": one.lineup.title,
                "violates": ", ".join(one.expect.violated),
                "source": one.source,
            },
        )
        for name, one in bugs(()).items()
    ]


def _played(name: str) -> Thing:
    from clusters.lineup import about

    module = about(name)
    more = {"actors": ", ".join(module.CLASSES), "source": module.SOURCE}
    return Thing(name, inspect.getdoc(module) or "", more)


def _sites() -> list[Thing]:
    from clusters.cluster import ROLES, roles_of
    from protocol.machine import IOMMUFD

    return [
        Thing(site.name, f"{role} answers {site.errno.value}", {"role": role})
        for role, kind in {**ROLES, **roles_of(IOMMUFD)}.items()
        for site in kind.SITES
    ]


def _runs(runs: Path) -> list[Thing]:
    from experiments.harness.finding import all_runs

    return [Thing(name, about) for name, about in all_runs(runs)]


MAKERS: Final[dict[str, Callable[[], list[Thing]]]] = {
    "experiments": _experiments,
    "properties": _properties,
    "invariants": _invariants,
    "faults": _faults,
    "operations": _operations,
    "misbehaviours": _misbehaviours,
    "strategies": _strategies,
    "revisions": _revisions,
    "defects": _defects,
    "bugs": _bugs,
    "sites": _sites,
}
