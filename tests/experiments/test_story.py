"""A violation as a story: which steps are told, and in which words."""

from collections.abc import Mapping

import pytest

from clusters.judge import Violation
from experiments.harness.story import ROWS_MAX, as_step, story
from protocol.facts import (
    DmaTranslated,
    Event,
    MessageDelivered,
    MessageSent,
    OpFail,
    OpInfo,
    OpInvoked,
    OpOk,
    PasidReclaimed,
    PropertyViolated,
    ReferenceTaken,
    RunEnded,
    RunStarted,
    StateChanged,
)
from protocol.facts.world import Scalar
from protocol.history import HISTORY_FORMAT, Record, Stamp
from protocol.machine import Machine

SENTENCE = "it broke"
RECLAIMED = PasidReclaimed(1, 1, set=1, refs=0, holders=(), spid=0, data=0, set_count=0)


class Told:
    """A history as it is written: inputs of actors, and what they state."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.inputs: dict[str, int] = {}
        self.step = 0
        self.cause = ("", 0)

    def to(self, actor: str, message: str, peer: str = "vfio", **detail: Scalar) -> "Told":
        """The next step: an input, caused by the last one of its sender."""
        self.step += 1
        self.cause = (peer, self.inputs[peer]) if peer in self.inputs else ("", 0)
        self.inputs[actor] = self.inputs.get(actor, 0) + 1
        return self.by(actor, MessageDelivered(peer, message, "", detail))

    def by(self, actor: str, fact: Event, *, seen: Mapping[str, int] | None = None) -> "Told":
        """A fact of its last input; it has seen all inputs so far, or those that are said."""
        stamp = Stamp(
            actor=actor,
            n=self.inputs.get(actor, 0),
            step=self.step,
            cause=self.cause[0],
            cause_n=self.cause[1],
            clock=dict(self.inputs if seen is None else seen),
        )
        self.records.append(Record(stamp, fact))
        return self

    def violated(self, sentence: str = SENTENCE) -> Violation:
        """The last record is what a property speaks about."""
        last = self.records[-1]
        self.records.append(Record(last.stamp, PropertyViolated("p", sentence)))
        return Violation("p", sentence, last)

    def violated_at_the_end(self, sentence: str) -> Violation:
        """Something never happened."""
        last = self.records[-1]
        self.by("supervisor", PropertyViolated("p", sentence))
        return Violation("p", sentence, last)

    def story(self, violation: Violation) -> list[list[str]]:
        """The cells of the table, without its head."""
        return [line.split(maxsplit=4) for line in story(self.records, violation)[1:]]


def test_the_steps_about_its_pasid_and_their_causes_are_told_and_the_last_is_marked() -> None:
    told = Told()
    told.to("core", "AllocPasid", pasid=1).by("core", StateChanged(1, 1, "FREE", "IDLE", 1))
    told.to("core", "AllocPasid", pasid=2)
    told.to("iommu", "Done")
    told.to("core", "PutPasid", "iommu", pasid=1).by("core", RECLAIMED)
    assert told.story(told.violated()) == [
        ["1", "vfio", "core", "AllocPasid", "PASID 1 IDLE, 1 reference"],
        ["3", "vfio", "iommu", "Done"],
        ["4", "iommu", "core", "PutPasid", "PASID 1 reclaimed   <- violation"],
    ]


def test_what_the_violation_has_not_seen_is_not_told() -> None:
    """Merely earlier in the file is not before."""
    told = Told()
    told.to("iommu", "BindGpasid", pasid=1)
    told.to("kvm", "NotifyBind", pasid=1)
    told.to("core", "PutPasid", pasid=1)
    told.by("core", RECLAIMED, seen={"iommu": 1, "core": 1})
    assert [row[2] for row in told.story(told.violated())] == ["iommu", "core"]


def test_of_an_operation_the_steps_of_its_pasid_and_its_end_are_told() -> None:
    told = Told()
    told.to("vm1.guest", "Done").by("vm1.guest", OpInvoked(4, "unbind", 3, 1))
    told.to("vm2.guest", "Done").by("vm2.guest", OpInvoked(4, "unbind", 5, 1))
    told.to("iommu", "UnbindGpasid", pasid=3)
    told.to("iommu", "UnbindGpasid", pasid=5)
    told.to("vm1.guest", "Done").by("vm1.guest", OpOk(4, "unbind", "EBUSY", met=False))
    rows = told.story(told.violated())
    assert [row[0] for row in rows] == ["1", "3", "5"]
    assert rows[-1][4] == "unbind ended in ok   <- violation"


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (OpFail(4, "unbind", "EPERM"), "unbind ended in EPERM"),
        (OpInfo(4, "unbind"), "unbind will never be answered"),
    ],
)
def test_of_an_operation_without_a_pasid_the_causes_are_told(fact: Event, words: str) -> None:
    told = Told()
    told.to("core", "Done")
    told.to("vfio", "RequestPasid", "vm1.guest")
    told.to("core", "AllocPasid", "vfio")
    told.to("vfio", "AllocPasidGot", "core")
    told.to("iommu", "Done", "workqueue")
    told.to("vm1.guest", "RequestPasidGot", "vfio").by("vm1.guest", fact)
    rows = told.story(told.violated())
    assert [row[0] for row in rows] == ["2", "3", "4", "6"]
    assert words in rows[-1][4]


def test_what_never_happened_is_told_to_the_end() -> None:
    told = Told()
    told.to("core", "FreePasid", pasid=7)
    told.to("core", "FreePasid", pasid=8)
    told.to("iommu", "NotifyFree", pasid=7).by("iommu", RunEnded(quiet=True, steps=3), seen={})
    rows = told.story(told.violated_at_the_end("PASID 7 (life 1) is FREE_PENDING since step 1"))
    assert [row[0] for row in rows] == ["1", "3"]
    assert rows[-1][-1] == "(the end)"


def test_only_the_last_steps_are_told_and_how_many_there_were() -> None:
    told = Told()
    for page in range(ROWS_MAX + 12):
        told.to("dsa0", "Translated", pasid=1, page=page)
    told.by("dsa0", DmaTranslated("dsa0", "vm1", 1, 1, 0, "iommu", "vm1", 1))
    lines = story(told.records, told.violated())
    assert len(lines) == ROWS_MAX + 2
    assert lines[1] == "  ... 12 earlier steps about PASID 1"
    assert lines[-1].endswith("<- violation")


def test_a_step_with_a_mark_is_told_however_long_ago_it_was() -> None:
    told = Told()
    for page in range(ROWS_MAX + 12):
        told.to("dsa0", "Translated", pasid=1, page=page)
    told.by("dsa0", DmaTranslated("dsa0", "vm1", 1, 1, 0, "iommu", "vm1", 1))
    marks = {5: "<- here", ROWS_MAX + 3: "<- there", 99: "<- nowhere"}
    lines = story(told.records, told.violated(), marks)
    assert lines[1].split() == ["5", "vfio", "dsa0", "Translated", "<-", "here"]
    assert lines[2] == "  ... 11 earlier steps about PASID 1"
    assert [line.endswith("<- there") for line in lines].count(True) == 1
    assert len(lines) == ROWS_MAX + 3


def test_without_a_step_to_tell_there_is_no_table() -> None:
    told = Told().by("supervisor", RunEnded(quiet=True, steps=0))
    assert story(told.records, told.violated_at_the_end("x")) == []


def test_the_weightiest_of_what_a_step_did_is_told() -> None:
    told = Told()
    told.to("core", "PutPasid", pasid=1)
    told.by("core", ReferenceTaken(1, 1, "vfio:check", 2, "IDLE", "vm1"))
    told.by("core", StateChanged(1, 1, "IDLE", "ACTIVE", 2))
    told.by("core", RECLAIMED)
    assert told.story(told.violated())[0][4] == "PASID 1 reclaimed   <- violation"


def test_a_dma_by_the_tables_of_another_life_says_whose() -> None:
    told = Told()
    told.to("dsa0", "Translated", pasid=1)
    told.by("dsa0", DmaTranslated("dsa0", "vm1", 1, 3, 0, "iommu", "vm2", 4))
    assert told.story(told.violated())[0][4] == (
        "PASID 1 DMA to page 0 by the tables of vm2 (life 4), it is of vm1 (life 3)   <- violation"
    )


# --- Every step -----------------------------------------------------------------------------------


def line_of(fact: Event) -> str:
    return as_step(Record(Stamp(actor="core", n=3, step=12), fact))


def test_a_delivery_is_one_line_and_so_is_a_fact_under_it() -> None:
    detail: dict[str, Scalar] = {"call": 1, "data": None, "why": "a b", "set": ""}
    assert line_of(MessageDelivered("vfio", "PutPasid", "vfio:1.1", detail)) == (
        '    12  vfio -> core  PutPasid  call=1 data=null why="a b" set=""'
    )
    assert line_of(MessageDelivered("vfio", "Start", "", {})) == "    12  vfio -> core  Start"
    assert line_of(OpOk(1, "bind")) == (
        '        core: op.ok op=1 operation=bind expected="" met=true'
    )


def test_what_was_sent_is_told_when_it_arrives() -> None:
    assert line_of(MessageSent("vfio", "Done", "core:3.1", {})) == ""


def test_the_machine_is_told_as_json() -> None:
    machine = Machine((), (), ())
    said = line_of(RunStarted(HISTORY_FORMAT, "x y", "", 7, "sim", "sound", machine))
    assert 'experiment="x y"' in said
    assert 'machine={"units":[]' in said
