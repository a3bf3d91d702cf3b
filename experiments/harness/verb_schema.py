"""`pasidlab schema`: JSON Schema of what we read and write."""

import click
import msgspec

from experiments.harness.config import Experiment
from experiments.harness.result import Result
from protocol.facts import Fact
from protocol.history import Stamp


@click.command("schema")
@click.argument("what", type=click.Choice(["experiment", "record", "result"]), metavar="WHAT")
def command(what: str) -> int:
    r"""JSON Schema of the experiment file, the record, or the result.

    \b
    Examples:
      pasidlab schema experiment > experiment.schema.json
      pasidlab schema record
      pasidlab schema result
    """
    match what:
        case "experiment":
            schema = msgspec.json.schema(Experiment)
        case "result":
            schema = msgspec.json.schema(Result)
        case _:
            (fact, stamp), definitions = msgspec.json.schema_components([Fact, Stamp])
            schema = {"allOf": [fact, stamp], "$defs": definitions}
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    click.echo(msgspec.json.format(msgspec.json.encode(schema), indent=2))
    return 0
