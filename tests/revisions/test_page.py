"""docs/revisions.md says what `compare` says today."""

import pytest

from experiments.harness.revisions_page import PAGE, page


@pytest.mark.long
def test_the_page_is_what_the_revisions_do() -> None:
    assert PAGE.read_text() == page(), "run python -m experiments.harness.revisions_page"
