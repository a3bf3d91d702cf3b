"""One Ray per module; each run has a namespace of its own, and ends its own hosts."""

from collections.abc import Iterator

import pytest

from clusters.live.ray_cluster import RayCluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with RayCluster(hosts=6) as started:
        yield started
