"""What a cluster's GCS says of its nodes: asked in a process of its own.

Ray keeps the first token and the first settings that it reads for as long as its process lives.
"""

import json
import subprocess
import sys
from typing import Final

import msgspec

from clusters.live.fleet import Fleet, surroundings
from clusters.live.nodes import gcs

ASK_SECONDS: Final = 3.0
GIVE_UP_SECONDS: Final = 20.0
ALIVE: Final = "alive"


def ray_says(fleet: Fleet) -> dict[str, str]:
    """Each node's name: alive or dead; nothing, if nobody answers."""
    if not fleet.nodes or gcs(fleet.nodes[0]) is None:
        return {}
    done = subprocess.Popen(
        [sys.executable, "-m", __name__, fleet.address],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=surroundings(fleet.environment),
    )
    try:
        said, _ = done.communicate(timeout=GIVE_UP_SECONDS)
        return msgspec.json.decode(said, type=dict[str, str])
    except (subprocess.TimeoutExpired, msgspec.DecodeError):
        return {}
    finally:
        done.kill()
        done.wait()


def ask(address: str) -> dict[str, str]:
    """A name may have had several lives; it is alive if one of them is."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated.gcs_pb2 import GcsNodeInfo  # type: ignore[attr-defined]

    known: dict[str, str] = {}
    for info in GcsClient(address=address).get_all_node_info(timeout=ASK_SECONDS).values():
        if info.state == GcsNodeInfo.ALIVE:
            known[info.node_name] = ALIVE
        else:
            known.setdefault(info.node_name, "dead")
    return known


if __name__ == "__main__":
    sys.stdout.write(json.dumps(ask(sys.argv[1])))
