"""`pasidlab schema`: JSON Schema of what we read and write."""

import click
import msgspec

from experiments.harness.options import OneOf, Verb


@click.command(
    "schema",
    cls=Verb,
    epilog="WHAT: experiment, record (one line of a history), result (result.json, and --json).",
    examples=(
        "pasidlab schema experiment > experiment.schema.json",
        "pasidlab schema record",
        "pasidlab schema result",
    ),
)
@click.argument("what", type=OneOf("a schema", ("experiment", "record", "result")), metavar="WHAT")
def command(what: str) -> int:
    """JSON Schema of the experiment file, the record, or the result."""
    from experiments.harness.say import Voice

    match what:
        case "experiment":
            from experiments.harness.config import Experiment

            schema = msgspec.json.schema(Experiment)
        case "result":
            from experiments.harness.result import Result

            schema = msgspec.json.schema(Result)
        case _:
            from protocol.facts import Fact
            from protocol.history import Stamp

            (fact, stamp), definitions = msgspec.json.schema_components([Fact, Stamp])
            schema = {"allOf": [fact, stamp], "$defs": definitions}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    Voice().answer(msgspec.json.format(msgspec.json.encode(schema), indent=2).decode())
    return 0
