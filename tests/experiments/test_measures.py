"""What a run measures of itself is what its history says."""

from collections import Counter

from clusters.sim.strategies import Order, prepared
from clusters.sim.world import follow
from experiments.harness.config import load
from experiments.harness.measures import INVALID, measured
from experiments.harness.revisions_page import FILE
from experiments.harness.setup import setup_of
from protocol.facts import PageSettled
from protocol.history import Record


def test_a_run_measures_of_itself_what_its_history_says() -> None:
    setup, order = prepared(setup_of(load(FILE), "measures"), "random"), Order("random", 1)
    records: list[Record] = []
    told, _ = follow(setup, order, records.append)
    result, _, measures = measured(setup, order)
    assert (result.steps, result.violations) == (told.steps, told.violations)
    facts = [record.fact for record in records]
    said = Counter(type(fact).__name__ for fact in facts)
    settled = [fact.code for fact in facts if isinstance(fact, PageSettled)]
    assert measures.messages == said["MessageSent"] > 0
    assert measures.lives == said["PasidAllocated"] > 0
    assert measures.faults == said["DmaBlocked"]
    assert measures.invalid == settled.count(INVALID)
    assert len(measures.reclaims) == said["PasidReclaimed"]
