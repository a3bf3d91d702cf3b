"""`pasidlab cluster`: a Ray cluster of several nodes on this machine, up, looked at, and down."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from experiments.harness.options import EXIT_CODES, Count, Verb, answer_options, write_examples
from experiments.harness.result import Exit
from experiments.harness.say import Voice, columns, many
from protocol.errors import nearest

if TYPE_CHECKING:
    from clusters.live.upkeep import Look

EXAMPLES: Final = (
    "pasidlab cluster up laptop",
    "pasidlab chaos experiments/chaos/kill_nodes.toml --cluster laptop",
    "pasidlab cluster status",
    "pasidlab cluster down laptop",
)


class Actions(click.Group):
    """What can be done to a cluster; another word is told the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            hint = nearest(args[0], self.commands)
            ctx.fail(f"'{args[0]}' is not an action{hint} (actions: {', '.join(self.commands)})")
        return super().resolve_command(ctx, args)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        write_examples(formatter, EXAMPLES)


@click.group("cluster", cls=Actions, epilog=EXIT_CODES, subcommand_metavar="ACTION [OPTIONS]")
def command() -> None:
    """A Ray cluster of several nodes on this machine: up, status, down.

    laptop: several nodes on the loopback address.  lab: each node in a network and a PID namespace
    of its own (root).  Nobody else's Ray is touched.
    """


@command.command(
    "up",
    cls=Verb,
    epilog=EXIT_CODES,
    examples=("pasidlab cluster up laptop", "pasidlab cluster up lab --nodes 5 --dashboard"),
)
@click.argument("kind", metavar="laptop|lab")
@click.option("--name", metavar="NAME", help="What it is called (default: as its kind).")
@click.option(
    "--nodes", type=Count(), default=3, show_default=True, metavar="N",
    help="Nodes that run actors; the head and a desk for the supervisor come beside them.",
)  # fmt: skip
@click.option(
    "--cpus", type=Count(), default=1, show_default=True, metavar="N", help="CPUs of each of them."
)
@click.option("--dashboard", is_flag=True, help="With the dashboard: ray job submit needs it.")
@answer_options
def up(
    *,
    kind: str,
    name: str | None,
    nodes: int,
    cpus: int,
    dashboard: bool,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> int:
    """Bring a cluster up; when that fails or is interrupted, nothing of it stays."""
    from clusters.live.upkeep import Wanted, look
    from clusters.live.upkeep import up as bring_up

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    fleet = bring_up(Wanted(kind, name or kind, nodes, cpus, dashboard), voice.talk)
    return _show([look(fleet.name)], voice)


@command.command(
    "status",
    cls=Verb,
    epilog="Exit codes: 0 all of it is up, 2 no such cluster, 5 something of it is not up.",
    examples=("pasidlab cluster status", "pasidlab cluster status laptop --json"),
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@answer_options
def status(*, names: tuple[str, ...], as_json: bool, quiet: bool, no_color: bool) -> int:
    """Nodes, processes, addresses, and who is alive."""
    from clusters.live.upkeep import look

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    return _show([look(name) for name in _named(names)], voice)


@command.command(
    "down",
    cls=Verb,
    epilog="Exit codes: 0 nothing of it is left, 2 no such cluster, 5 something did not end.",
    examples=("pasidlab cluster down laptop", "pasidlab cluster down"),
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@answer_options
def down(*, names: tuple[str, ...], as_json: bool, quiet: bool, no_color: bool) -> int:
    """End every process of it, and remove every namespace and file; without NAME, of all."""
    from clusters.live.interruption import shielded
    from clusters.live.upkeep import down as take_down

    voice = Voice(json=as_json, quiet=quiet, colour=False if no_color else None)
    ended = _named(names)
    for name in ended:
        with shielded():
            take_down(name)
        voice.keyed(name, "down")
    if not ended:
        voice.answer("no cluster is up")
    voice.object({"down": ended})
    return int(Exit.PASS)


def _named(names: Sequence[str]) -> list[str]:
    """Those, or all there are."""
    from clusters.live.fleet import fleets, read_fleet

    return [read_fleet(name).name for name in names] if names else fleets()


def _show(looks: Sequence["Look"], voice: Voice) -> int:
    voice.object({"clusters": looks})
    if not looks:
        voice.answer("no cluster is up")
    for one in looks:
        made = "" if one.ready else ", left half made"
        voice.title(f"{one.name}  {one.kind or 'nothing'}{made}, {many(len(one.nodes), 'node')}")
        rows = [
            (node.name, node.role, node.ip, f"pid {node.pid}" if node.pid else "-",
             many(node.processes, "process"),
             node.state, f"ray: {node.ray}")
            for node in one.nodes
        ]  # fmt: skip
        for line in columns(rows):
            voice.answer(line)
        for key, value in one.environment.items():
            voice.answer(f"  export {key}={value}")
    return int(Exit.PASS if all(one.well for one in looks) else Exit.CLUSTER)
