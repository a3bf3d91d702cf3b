"""From an experiment to what a world runs, and from its verdict to a `Result`."""

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import structs

from clusters.cluster import build, names
from clusters.judge import Status as Judged
from clusters.judge import Verdict
from clusters.lineup import check_played
from clusters.links import Semantics, check_semantics
from clusters.nemesis import OF_NODES, Nemesis, check, roles_of
from clusters.sim.faults import Healable, check_heal
from clusters.sim.mishaps import MessagesAreExpected
from clusters.sim.world import Setup
from experiments.harness.config import Experiment, load, machine_of, plans_of
from experiments.harness.decades import of_today, target_of_today
from experiments.harness.options import Asked
from experiments.harness.result import Exit, PropertyResult, Status
from protocol.errors import ExperimentError, nearest
from protocol.machine import GUESTS, Machine
from protocol.properties import PROPERTIES
from protocol.properties.concerning import concerns
from protocol.properties.property import Kind, Property

SEED_BITS: Final = 32
_WORDS: Final = {
    "held": Status.HELD,
    "met": Status.HELD,
    "seen": Status.HELD,
    "violated": Status.VIOLATED,
    "unmet": Status.VIOLATED,
    "unseen": Status.UNKNOWN,
    "unjudged": Status.UNKNOWN,
}
BROKEN: Final = ("violated", "unmet")
VERDICTS: Final = {
    "pass": (Status.PASS, Exit.PASS),
    "violation": (Status.VIOLATION, Exit.VIOLATION),
    "unknown": (Status.UNKNOWN, Exit.UNKNOWN),
}


def loaded(asked: Asked) -> Experiment:
    """The experiment that the command line asks for."""
    experiment = load(asked.file, asked.all_changes())
    if not asked.defects:
        return experiment
    return with_defects(experiment, asked.defects)


def with_defects(experiment: Experiment, defects: Sequence[str]) -> Experiment:
    """The same, with more that is wrong in it; of what the command line names."""
    together = tuple(dict.fromkeys((*experiment.defects, *defects)))
    changed = structs.replace(experiment, defects=together)
    check_played(changed.lineup, changed.played, "--revision", "--defect")
    return changed


def drawn_seed(seed: int | None) -> int:
    """The seed given, or a new one, which is then printed like any other."""
    return secrets.randbits(SEED_BITS) if seed is None else seed


def digest_of(text: bytes) -> str:
    """Sixteen hexadecimal digits that tell two resolved experiments apart.

    Of the text and not of the values: that stays what it is when an experiment gets a new key.
    """
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def properties_of(
    experiment: Experiment, where: str, machine: Machine | None = None
) -> tuple[type[Property], ...]:
    """The properties an experiment names; all *always* and *eventually* where it names none.

    All: those that its machine could break, or the one given in its place.
    """
    expect = experiment.expect
    machine = machine or machine_of(experiment, where)
    rules = {found.name: found for found in PROPERTIES if found.kind is not Kind.SOMETIMES}
    for k, name in enumerate(expect.violated):
        if name not in rules:
            raise ExperimentError(
                f"{where}: $.expect.violated[{k}]: '{name}' is not a property"
                f"{nearest(name, rules)} (see: pasidlab list properties)"
            )
    chosen: list[type[Property]] = []
    for key, kind, wanted in (
        ("always", Kind.ALWAYS, expect.always),
        ("eventually", Kind.EVENTUALLY, expect.eventually),
        ("sometimes", Kind.SOMETIMES, expect.sometimes),
    ):
        there = {found.name: found for found in PROPERTIES if found.kind is kind}
        for k, name in enumerate(wanted):
            if name not in there:
                raise ExperimentError(
                    f"{where}: $.expect.{key}[{k}]: '{name}' is not a property of this kind"
                    f"{nearest(name, there)} (see: pasidlab list properties)"
                )
            if kind is Kind.SOMETIMES and experiment.played != GUESTS:
                _refuse_unseen(there[name], machine, f"{where}: $.expect.{key}[{k}]")
        if wanted:
            chosen += [there[name] for name in wanted]
        elif kind is not Kind.SOMETIMES:
            chosen += [found for found in there.values() if concerns(found, machine)]
    if experiment.network.links:
        chosen.append(MessagesAreExpected)
    return tuple(chosen)


def _refuse_unseen(witness: type[Property], machine: Machine, place: str) -> None:
    """Of the other stack: nobody on the machine can show it, and it would be unknown for ever.

    Guests on a kernel of today are not asked: their file was written for both.
    """
    if concerns(witness, machine):
        return
    seen = [one.name for one in PROPERTIES if one.kind is Kind.SOMETIMES and concerns(one, machine)]
    raise ExperimentError(
        f"{place}: '{witness.name}' is never seen on the stack '{machine.stack}'"
        f"{nearest(witness.name, seen)} (witnesses there: {', '.join(seen)})"
    )


def nemeses_of(experiment: Experiment, where: str) -> tuple[Nemesis, ...]:
    """The fault plan, checked against the machine."""
    plan = tuple(
        msgspec.convert(msgspec.to_builtins(table), Nemesis) for table in experiment.nemesis
    )
    if plan:
        machine = machine_of(experiment, where)
        actors = build(machine, plans_of(experiment, where), experiment.lineup.classes())
        if experiment.played == GUESTS:
            plan = tuple(of_today(nemesis, machine) for nemesis in plan)
        for k, nemesis in enumerate(plan):
            place = f"{where}: $.nemesis[{k}]"
            try:
                check(nemesis, machine, actors, place)
            except ExperimentError as error:
                if str(error).startswith(place):
                    raise
                raise ExperimentError(f"{place}.target: {error}") from error
    return plan


def simulated(plan: tuple[Nemesis, ...]) -> tuple[Nemesis, ...]:
    """What of it can be in the simulator, where no node is."""
    return tuple(nemesis for nemesis in plan if nemesis.fault not in OF_NODES)


def healable_of(experiment: Experiment, where: str) -> Healable:
    """What may be healed in the end, checked against the machine."""
    machine = machine_of(experiment, where)
    classes = experiment.lineup.classes()
    roles = roles_of(machine, build(machine, plans_of(experiment, where), classes))
    check_heal(experiment.finally_.heal, roles, f"{where}: $.finally.heal")
    return experiment.finally_.heal


def semantics_of(experiment: Experiment, where: str) -> Semantics:
    """What named links do to messages, checked against the machine."""
    network = experiment.network
    machine, links = machine_of(experiment, where), network.links
    if experiment.played == GUESTS:
        links = tuple(target_of_today(link, machine) for link in links)
    semantics = Semantics(network.semantics, links, network.probability)
    check_semantics(semantics, names(machine), f"{where}: $.network")
    return semantics


def setup_of(experiment: Experiment, where: str, *, run: str = "") -> Setup:
    """What the simulator runs."""
    return Setup(
        machine=machine_of(experiment, where),
        plans=plans_of(experiment, where),
        properties=properties_of(experiment, where),
        nemeses=simulated(nemeses_of(experiment, where)),
        max_steps=experiment.explore.max_steps,
        quiet_steps=experiment.finally_.quiet_steps,
        heal=healable_of(experiment, where),
        delay_steps=experiment.network.delay_steps,
        semantics=semantics_of(experiment, where),
        experiment=experiment.title,
        lineup=experiment.lineup,
        run=run,
    )


def reasons_of(verdict: Verdict) -> tuple[str, ...]:
    """Why it is not a pass; what has one reason is said together.

    Of a violation just what was violated: what else is unknown then, is so because the run ended.
    """
    broken = [one for one in verdict.properties if one.word in BROKEN]
    if broken:
        return tuple(f"{one.name}: {one.reason}" for one in broken)
    together: dict[str, list[str]] = {}
    for one in verdict.properties:
        if _WORDS[one.word] is Status.UNKNOWN:
            together.setdefault(one.reason, []).append(one.name)
    unjudged = [one for one in verdict.properties if _WORDS[one.word] is Status.UNKNOWN]
    return (
        *verdict.gaps,
        *([verdict.busy] if verdict.busy else []),
        *(f"{one.name}: {owed}" for one in unjudged for owed in one.owed),
        *(f"{', '.join(names)}: {why}" for why, names in together.items()),
    )


def property_results(verdict: Verdict) -> tuple[PropertyResult, ...]:
    """A verdict's properties, in the words of `result.json`."""
    return tuple(
        PropertyResult(status.name, status.kind, _WORDS[status.word], _message(status))
        for status in verdict.properties
    )


def _message(status: Judged) -> str:
    """Why it is not better; of one that is met, what was excused."""
    if status.word == "met" and status.owed:
        return f"excused: {'; '.join(status.owed)}"
    return status.reason
