"""Marks the folders that take long, so that `make check` can leave them to `make test`."""

from pathlib import Path

import pytest

LONG = tuple(Path(__file__).parent / folder for folder in ("sweep", "defects"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(folder in item.path.parents for folder in LONG):
            item.add_marker(pytest.mark.long)
