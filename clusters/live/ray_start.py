"""`ray start` for nodes that are all on the loopback address.

Ray listens on 127.0.0.1 only if that is a node's address, and refuses more than one such node from
the command line, although they work; `ray start` asks for that on systems that this is not.
"""

import sys


def main() -> None:
    """As `ray start`, but an address is what it says."""
    from ray._private import ray_constants, services
    from ray.scripts.scripts import cli

    ray_constants.ENABLE_RAY_CLUSTER = True
    services.resolve_ip_for_localhost = lambda host: host
    cli(args=["start", *sys.argv[1:]], prog_name="ray")


if __name__ == "__main__":
    main()
