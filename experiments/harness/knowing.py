"""What the scripts of an experiment must know of one another: variables, and who is forked."""

from protocol.errors import ExperimentError, nearest
from protocol.names import Name
from protocol.plan import Step


def told(name: Name, scripts: dict[Name, tuple[Step, ...]]) -> tuple[tuple[str, Name], ...]:
    """Which processes must be told which of `name`'s variables, because their scripts say them."""
    tell = {
        (step.variable, other): None
        for other, steps in scripts.items()
        for step in steps
        if step.owner == name and other != name and step.variable
    }
    return tuple(tell)


def is_forked(name: Name, scripts: dict[Name, tuple[Step, ...]]) -> bool:
    """Whether another process's script forks it, so that it waits for that."""
    every = (step for steps in scripts.values() for step in steps)
    return any(step.operation == "fork" and step.owner == name for step in every)


def check_variables(scripts: dict[Name, tuple[Step, ...]], places: dict[Name, str]) -> None:
    """A variable is allocated before it is named; another's variable is allocated by its owner."""
    allocated = {
        name: [step.variable for step in steps if step.operation == "alloc"]
        for name, steps in scripts.items()
    }
    for name, steps in scripts.items():
        known: list[str] = []
        for i, step in enumerate(steps):
            place = f"{places[name]}.steps[{i}]"
            if step.operation == "alloc":
                known.append(step.variable)
            elif (
                step.owner and step.variable and step.variable not in allocated.get(step.owner, [])
            ):
                raise ExperimentError(f"{place}: {step.owner} never allocates '{step.variable}'")
            elif step.variable and not step.owner and step.variable not in known:
                hint = nearest(step.variable, known)
                raise ExperimentError(f"{place}: '{step.variable}' is not allocated before{hint}")
