"""Marks the folders that take long, so that `make check` can leave them to `make test`.

No test is about time: a property test has no deadline, whatever else the machine does.  The garbage
collector looks as seldom as where `pasidlab` runs, and not at all at the thousands of tests.
"""

import gc
from pathlib import Path

import pytest
from hypothesis import settings

from clusters.uncollected import collect_seldom

settings.register_profile("pasidlab", deadline=None)
settings.load_profile("pasidlab")

collect_seldom()

LONG = tuple(Path(__file__).parent / folder for folder in ("sweep", "defects"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(folder in item.path.parents for folder in LONG):
            item.add_marker(pytest.mark.long)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
