"""The machine of an experiment with `stack = "iommufd"`, and the steps of its callers (§7, §8).

[VARIABLE =] OPERATION [ARGUMENT=VALUE ...] [-> OUTCOME | -> any(OUTCOME, ...)]

A value is a number, a name, `a+b`, or `$v` of a variable; an outcome is `ok`, an errno, a value
(`=5`, `=a+b`), `same(v)` or `other(v)`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from actors.caller.arguments import OTHER, SAME, VARIABLE, is_value
from experiments.harness.call_arguments import NAME, check_arguments
from experiments.harness.script import outcomes
from protocol.calls import AT, CALLS, SAID, Operation
from protocol.domains import Domain, Group
from protocol.errors import ExperimentError, nearest
from protocol.machine import INTEL, IOASID, IOMMUFD, Device, Machine, Unit
from protocol.names import Name
from protocol.plan import Step

if TYPE_CHECKING:
    from experiments.harness.config import Experiment
    from experiments.harness.tables import DomainTable


def modern_machine(experiment: Experiment, where: str) -> Machine:
    """The machine; names must be known and unique, and nothing may be of the other stack."""
    table = experiment.machine
    _refuse(where, "machine.mdev", bool(table.mdev), IOMMUFD)
    _refuse(where, "guests.groups", bool(experiment.guests.groups), IOMMUFD)
    units = [unit.name for unit in table.unit]
    for k, unit in enumerate(table.unit):
        if unit.driver != table.unit[0].driver:
            raise ExperimentError(
                f"{where}: $.machine.unit[{k}].driver: '{unit.driver}' beside"
                f" '{table.unit[0].driver}': a machine has units of one driver"
            )
    devices = [device.name for device in table.device]
    for k, device in enumerate(table.device):
        if device.unit and device.unit not in units:
            raise ExperimentError(
                f"{where}: $.machine.device[{k}].unit: '{device.unit}' is not a unit"
                f'{nearest(device.unit, units)} (units: {", ".join(units)}; none: "")'
            )
        physical = [one.name for one in table.device if not one.pf]
        if device.pf and device.pf not in physical:
            raise ExperimentError(
                f"{where}: $.machine.device[{k}].pf: '{device.pf}' is not a physical device"
                f"{nearest(device.pf, physical)} (those are: {', '.join(physical)})"
            )
        if device.system_pasid and device.driver != "idxd":
            raise ExperimentError(
                f"{where}: $.machine.device[{k}].system_pasid: only driver 'idxd' has one"
            )
    grouped: list[Name] = []
    for k, group in enumerate(table.group):
        for name in group.devices:
            place = f"{where}: $.machine.group[{k}].devices"
            if name not in devices:
                raise ExperimentError(
                    f"{place}: '{name}' is not a device{nearest(name, devices)}"
                    f" (devices: {', '.join(devices)})"
                )
            if name in grouped:
                raise ExperimentError(f"{place}: '{name}' is in a group already")
            grouped.append(name)
    return Machine(
        units=tuple(Unit(u.name, u.prq, u.pds, u.lacks, u.driver) for u in table.unit),
        devices=tuple(
            Device(
                name=d.name,
                unit=d.unit,
                pasids=d.pasids,
                ats=d.ats,
                pri=d.pri,
                wq=d.wq,
                wq_size=d.wq_size,
                driver=d.driver,
                system_pasid=d.system_pasid,
                quirks=d.quirks,
                pf=d.pf,
            )
            for d in table.device
        ),
        vms=(),
        pasids=experiment.pool.pasids,
        quota=experiment.pool.pasids,
        processes=numbered("proc", experiment.processes.count),
        groups=tuple(Group(group.name, group.devices, group.finalised) for group in table.group),
        domains=_domains(table.domain, units, where),
        stack=IOMMUFD,
        callers=numbered("caller", experiment.callers.count),
        without=table.without,
    )


def _domains(tables: tuple[DomainTable, ...], units: list[Name], where: str) -> tuple[Domain, ...]:
    """Those that are there from the start; an entry that passes through is not modelled."""
    for k, one in enumerate(tables):
        if one.unit and one.unit not in units:
            raise ExperimentError(
                f"{where}: $.machine.domain[{k}].unit: '{one.unit}' is not a unit"
                f'{nearest(one.unit, units)} (units: {", ".join(units)}; every unit\'s: "")'
            )
        if one.kind == "IDENTITY" and one.pasid:
            raise ExperimentError(
                f"{where}: $.machine.domain[{k}].pasid: an identity domain is set on no PASID:"
                " pasid = false"
            )
    return tuple(Domain(d.name, d.kind, d.unit, d.pasid, d.stage) for d in tables)


def numbered(word: str, count: int) -> tuple[Name, ...]:
    """`proc1` to `procN`."""
    return tuple(f"{word}{k}" for k in range(1, count + 1))


def refuse_modern(experiment: Experiment, where: str) -> None:
    """What an experiment of the older stack cannot say."""
    table = experiment.machine
    _refuse(where, "machine.group", bool(table.group), IOASID)
    _refuse(where, "machine.without", bool(table.without), IOASID)
    _refuse(where, "machine.domain", bool(table.domain), IOASID)
    _refuse(where, "callers.count", experiment.callers.count > 0, IOASID)
    for k, unit in enumerate(table.unit):
        _refuse(where, f"machine.unit[{k}].lacks", bool(unit.lacks), IOASID)
        _refuse(where, f"machine.unit[{k}].driver", unit.driver != INTEL, IOASID)
    for k, device in enumerate(table.device):
        _refuse(where, f"machine.device[{k}].quirks", bool(device.quirks), IOASID)
        _refuse(where, f"machine.device[{k}].pf", bool(device.pf), IOASID)
        _refuse(where, f"machine.device[{k}].driver", bool(device.driver), IOASID)
        _refuse(where, f"machine.device[{k}].system_pasid", device.system_pasid, IOASID)
        if device.pasids == 0:
            raise ExperimentError(
                f"{where}: $.machine.device[{k}].pasids: at least 1 with stack = '{IOASID}'"
            )


def _refuse(where: str, key: str, given: bool, stack: str) -> None:  # noqa: FBT001  one use
    if given:
        raise ExperimentError(f"{where}: $.{key}: there is none with stack = '{stack}'")


# --- Steps of a caller ----------------------------------------------------------------------------


def read_call(text: str, _caller: Name, machine: Machine, where: str) -> Step:
    """The step that `text` says; `where` is its place in the file, for the refusal."""
    body, arrow, outcome = text.partition("->")
    words = body.split()
    variable = ""
    if words[1:2] == ["="]:
        variable, words = words[0], words[2:]
        if not NAME.fullmatch(variable):
            raise ExperimentError(f"{where}: '{variable}' is not a variable name")
    if not words:
        raise ExperimentError(f"{where}: '{text}' names no operation")
    name, *rest = words
    if name not in CALLS:
        raise ExperimentError(
            f"{where}: '{name}' is not an operation of a caller{nearest(name, CALLS)}"
            " (see: pasidlab list operations)"
        )
    given = _arguments(CALLS[name], rest, f"{where}: {name}")
    check_arguments(CALLS[name], given, machine, f"{where}: {name}")
    return Step(
        operation=name,
        variable=variable,
        expect=_outcomes(outcome, where) if arrow else (),
        text=text.strip(),
        arguments=tuple(given.items()),
    )


def _arguments(operation: Operation, words: list[str], where: str) -> dict[str, str]:
    """`name=value` each; those that the message has no default for must be there."""
    allowed = [*operation.fields, AT]
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ExperimentError(f"{where}: '{word}' is not an argument: name=value")
        if name not in allowed:
            raise ExperimentError(
                f"{where}: '{name}' is not an argument{nearest(name, allowed)}"
                f" (arguments: {', '.join(allowed)})"
            )
        if name in given:
            raise ExperimentError(f"{where}: '{name}' is given twice")
        given[name] = value
    needed = [
        one.name
        for one in msgspec.structs.fields(operation.message)
        if one.required and one.name in operation.fields
    ]
    needed += [AT] if operation.to == SAID else []
    missing = [name for name in needed if name not in given]
    if missing:
        raise ExperimentError(f"{where}: '{missing[0]}=' is missing (needs: {', '.join(needed)})")
    return given


def _outcomes(text: str, where: str) -> tuple[str, ...]:
    """Values as they stand; the rest as in any script."""
    text = text.strip()
    inner = re.fullmatch(r"any\((.*)\)", text)
    names = [one.strip() for one in (inner[1] if inner else text).split(",")]
    return tuple(name if is_value(name) else outcomes(name, where)[0] for name in names)


def variables_of(step: Step) -> list[str]:
    """The variables that a step names."""
    named = [text.removeprefix(VARIABLE) for _, text in step.arguments if text[:1] == VARIABLE]
    compared = [text for text in step.expect if text.startswith((SAME, OTHER))]
    return [*named, *(text.partition("(")[2].removesuffix(")") for text in compared)]


def check_values(scripts: dict[Name, tuple[Step, ...]], places: dict[Name, str]) -> None:
    """A caller's variable is set before it is named."""
    for name, steps in scripts.items():
        known: list[str] = []
        for i, step in enumerate(steps):
            for one in variables_of(step):
                if one not in known:
                    raise ExperimentError(
                        f"{places[name]}.steps[{i}]: '{one}' is not set before{nearest(one, known)}"
                    )
            if step.variable:
                known.append(step.variable)
