"""How many processes a node is to have for the hosts that come back to it."""

import os

from clusters.live.ray_cluster import ENVIRONMENT
from clusters.live.spares import PRELOADED, SPARES, SPARES_MAX, lacking, spares_for


def test_one_waits_beside_the_hosts_and_the_driver() -> None:
    driver = os.getpid()
    assert lacking([driver, -1, -2], 2 + SPARES) == 1
    assert lacking([driver, -1, -2, -3], 2 + SPARES) == 0
    assert lacking([-1, -2, -3, -4], 2 + SPARES) == -1


def test_a_node_has_one_for_each_host_that_another_may_lose() -> None:
    assert spares_for([2, 3, 0]) == 3
    assert spares_for([]) == spares_for([0]) == SPARES
    assert spares_for([9]) == SPARES_MAX


def test_it_imports_what_a_host_is_made_of_and_not_what_judges_one() -> None:
    import subprocess
    import sys

    told = "import sys, {0}; print('clusters.judge' in sys.modules, 'clusters.sim' in sys.modules)"
    program = [sys.executable, "-c", told.format(PRELOADED)]
    assert ENVIRONMENT["RAY_preload_python_modules"] == PRELOADED
    assert subprocess.run(program, capture_output=True, check=True).stdout == b"False False\n"
