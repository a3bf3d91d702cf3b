"""`bench` measures everything and says it in one form.  How fast anything is, no test asks."""

from typing import Final

import pytest

from tests.experiments.command import Command

FIGURES: Final = {
    "free_before_unbind, no properties": "deliveries/s",
    "free_before_unbind, all properties": "deliveries/s",
    "free_before_unbind, and its history": "deliveries/s",
    "normal_life, no properties": "deliveries/s",
    "normal_life, all properties": "deliveries/s",
    "normal_life, and its history": "deliveries/s",
    "model B (27 messages)": "schedules/s",
    "check, all properties": "records/s",
    "check, one property": "records/s",
    "run, cold start to verdict": "s",
    "1,000 allocations": "/s",
    "1,000 live PASIDs": "MB",
}


def test_every_figure_has_a_reference_and_their_ratio(pasidlab: Command) -> None:
    ran = pasidlab("bench", "--quick", "--json")
    said = ran.object
    assert (ran.code, said["verb"], said["quick"], ran.err) == (0, "bench", True, "")
    assert {one["name"]: one["unit"] for one in said["figures"]} == FIGURES
    for one in said["figures"]:
        assert one["figure"] > 0
        assert one["reference"] > 0
        assert one["ratio"] == pytest.approx(one["figure"] / one["reference"])


def test_people_get_a_table_of_80_columns(pasidlab: Command) -> None:
    head, *rows = pasidlab("bench", "--quick").out.splitlines()
    assert head.split() == ["figure", "reference", "ratio"]
    for row, (name, unit) in zip(rows, FIGURES.items(), strict=True):
        assert row.startswith(name)
        assert unit in row.split()
        assert len(row) <= 80
