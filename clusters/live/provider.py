"""`ray up`, `ray submit`, `ray exec` and `ray down` for a laptop and a lab: no ssh, no docker.

Ray's launcher takes a provider of nodes from outside (`provider: {type: external, module: ...}`).
This one brings a whole cluster of ours up when it is asked for a head, because its nodes come
together; what runs "on the head" is a shell on this machine, in the head's network, whose home is a
folder of the cluster.  The launcher's own `ray stop`, which would end everybody's Ray, is not run.
"""

import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from ray.autoscaler._private.cli_logger import cli_logger
from ray.autoscaler.command_runner import CommandRunnerInterface
from ray.autoscaler.node_provider import NodeProvider

from clusters.live.fleet import Fleet, fleets, read_fleet, surroundings
from clusters.live.upkeep import Wanted, down, up

HEAD: Final = "head"
TAGS: Final = "tags.json"
HOME: Final = "home"
STOP: Final = "ray stop"
CACHED: Final = "_config_cache_path"
"""Where the launcher says that it does so; `ray down` always does."""


class OurProvider(NodeProvider):
    """Of a cluster of ours that has the launcher's `cluster_name`; the launcher knows its head."""

    def __init__(self, provider_config: dict[str, object], cluster_name: str) -> None:
        """What the launcher has put by to resolve its file faster next time is not to stay."""
        super().__init__(provider_config, cluster_name)
        cached = str(provider_config.get(CACHED) or "")
        if cached:
            with suppress(OSError):
                Path(cached).unlink()

    def _there(self) -> bool:
        return self.cluster_name in fleets() and read_fleet(self.cluster_name).ready

    def _tags(self) -> Path:
        return read_fleet(self.cluster_name).folder / TAGS

    def non_terminated_nodes(self, tag_filters: dict[str, str]) -> list[str]:
        if not self._there():
            return []
        tags = self.node_tags(HEAD)
        return [HEAD] if all(tags.get(key) == said for key, said in tag_filters.items()) else []

    def is_running(self, node_id: str) -> bool:
        return node_id == HEAD and self._there()

    def is_terminated(self, node_id: str) -> bool:
        return not self.is_running(node_id)

    def node_tags(self, node_id: str) -> dict[str, str]:
        try:
            tags: dict[str, str] = json.loads(self._tags().read_text())
        except FileNotFoundError:
            return {}  # It was not the launcher that brought it up.
        return tags

    def set_node_tags(self, node_id: str, tags: dict[str, str]) -> None:
        self._tags().write_text(json.dumps({**self.node_tags(node_id), **tags}))

    def external_ip(self, node_id: str) -> str:
        return self.internal_ip(node_id)

    def internal_ip(self, node_id: str) -> str:
        return read_fleet(self.cluster_name).node(node_id).ip

    def create_node(self, node_config: dict[str, object], tags: dict[str, str], count: int) -> None:
        said = self.provider_config
        wanted = Wanted(
            str(said.get("kind", "laptop")),
            self.cluster_name,
            hosts=int(said.get("hosts", 3)),
            cpus=int(said.get("cpus", 1)),
            dashboard=bool(said.get("dashboard", True)),
        )
        up(wanted, cli_logger.print)
        self.set_node_tags(HEAD, tags)

    def terminate_node(self, node_id: str) -> None:
        down(self.cluster_name)

    def get_command_runner(self, *_: object, **__: object) -> CommandRunnerInterface:
        return HeadShell(read_fleet(self.cluster_name))


class HeadShell(CommandRunnerInterface):
    """Commands and files, as if to the head."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.home = fleet.folder / HOME
        self.home.mkdir(mode=0o700, exist_ok=True)

    def run(self, cmd: str | None = None, *_: object, **said: object) -> str:
        if not cmd or cmd.strip() == STOP:
            return ""
        extra = {str(key): str(value) for key, value in _pairs(said).items()}
        at = {"RAY_ADDRESS": self.fleet.address, "HOME": str(self.home)}
        at["PASIDLAB_CLUSTER"] = self.fleet.name
        done = subprocess.run(
            ["bash", "-c", cmd],  # noqa: S607
            cwd=self.home,
            env=surroundings(self.fleet.environment) | extra | at,
            stdout=subprocess.PIPE if said.get("with_output") else None,
            text=True,
            check=False,
        )
        if done.returncode and said.get("exit_on_fail"):
            cli_logger.abort(f"The command ended with exit code {done.returncode}.")
        if done.returncode:
            raise subprocess.CalledProcessError(done.returncode, cmd)
        return done.stdout or ""

    def run_rsync_up(self, source: str, target: str, options: object = None) -> None:
        _copy(Path(source).expanduser(), self._inside(target))

    def run_rsync_down(self, source: str, target: str, options: object = None) -> None:
        _copy(self._inside(source), Path(target).expanduser())

    def remote_shell_command_str(self) -> str:
        return f"HOME={self.home} bash"

    def run_init(self, **_: object) -> None:
        return None

    def _inside(self, path: str) -> Path:
        """In the cluster's home, wherever the path wants to go."""
        return self.home / path.removeprefix("~").lstrip("/")


def _pairs(said: dict[str, object]) -> dict[str, object]:
    found = said.get("environment_variables")
    return found if isinstance(found, dict) else {}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)
