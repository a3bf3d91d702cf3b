"""A trace in either form, as calls."""

from pathlib import Path

from clusters.conformance import ftrace, jsonl
from clusters.conformance.calls import Call
from clusters.conformance.machine import TraceMachine
from clusters.conformance.names import names_beside
from clusters.conformance.reading import Lines


def read_calls(path: Path, machine: TraceMachine) -> list[Call]:
    """JSON Lines begin with `{`; all else is taken for the text of ftrace."""
    lines = Lines(path)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        raise lines.refuse("there is nothing in it: no call, no event")
    if first.lstrip().startswith("{"):
        return jsonl.read(Lines(path))
    if not first.lstrip().startswith("#") and ftrace.LINE.fullmatch(first.rstrip("\n")) is None:
        raise lines.refuse("is neither JSON Lines nor the text of ftrace")
    return ftrace.read(Lines(path), names_beside(path), machine)
