"""A property that no planted defect breaks could as well be absent."""

import pytest

from protocol.properties import PROPERTIES, Kind, Property
from tests.defects.planted import PLANTED

JUDGED = [one for one in PROPERTIES if one.kind is not Kind.SOMETIMES]


@pytest.mark.parametrize("one", JUDGED, ids=lambda one: one.name)
def test_a_defect_is_planted_for(one: type[Property]) -> None:
    assert one.name in [planted.property for planted in PLANTED]


def test_the_table_names_properties_that_are_there() -> None:
    names = [one.name for one in JUDGED]
    assert [one.property for one in PLANTED if one.property not in names] == []
    assert [name for one in PLANTED for name in one.also if name not in names] == []


def test_company_has_a_reason() -> None:
    assert [one.property for one in PLANTED if bool(one.also) != bool(one.why)] == []
