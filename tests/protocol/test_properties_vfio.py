"""What VFIO keeps of a device, against what iommufd has attached through it (I35)."""

import pytest

from protocol.facts.iommufd import PtAttached, PtDetached
from protocol.facts.vfio_cdev import AttachmentsKept
from protocol.machine import Machine
from tests.protocol.stories import Story


class Told(Story):
    def __init__(self) -> None:
        super().__init__("vfio-keeps-what-is-attached", Machine((), (), ()))

    def attached(self, pasid: int) -> None:
        self.then("c", PtAttached("d1", "g", pasid, 3, "p", compatible=True))

    def detached(self, pasid: int) -> None:
        self.then("c", PtDetached("d1", "g", pasid, 3, last=True))

    def kept(self, call: str, pasid: int, *pasids: int, rid: bool = False, errno: str = "") -> None:
        self.then("vfio", AttachmentsKept("d1", pasids, rid, call, pasid, errno))


def test_what_is_attached_and_kept_is_as_it_should_be() -> None:
    told = Told()
    told.kept("bind", 0)
    told.attached(5)
    told.kept("attach", 5, 5)
    told.attached(0)
    told.kept("attach", 0, 5, rid=True)
    told.attached(9)
    told.kept("attach", 9, 5, 9, rid=True)
    told.kept("attach", 7, 5, 9, rid=True, errno="EBUSY")
    for pasid in (5, 9, 0):
        told.detached(pasid)
    told.kept("close", 0)
    assert (told.said, told.owed()) == ([], [])


def test_what_is_detached_because_its_user_could_not_be_told() -> None:
    told = Told()
    told.attached(5)
    told.detached(5)
    told.kept("attach", 5, errno="EFAULT")
    assert told.said == []


@pytest.mark.parametrize("pasids", [(), (5, 6), (6,)])
def test_err_vfio_has_something_else_than_iommufd(pasids: tuple[int, ...]) -> None:
    told = Told()
    told.attached(5)
    told.kept("attach", 5, *pasids)
    (sentence,) = told.said
    assert sentence.endswith("and iommufd PASID 5")


def test_err_a_call_changes_what_it_does_not_name() -> None:
    told = Told()
    told.attached(0)
    told.kept("attach", 0, rid=True)
    told.detached(0)
    told.kept("detach", 5)
    (sentence,) = told.said
    assert "detach of PASID 5 of d1 was granted" in sentence
    assert "its RID is attached or not" in sentence


def test_err_a_call_is_refused_and_has_attached() -> None:
    told = Told()
    told.attached(5)
    told.kept("attach", 5, 5, errno="EFAULT")
    (sentence,) = told.said
    assert "was refused (EFAULT)" in sentence


def test_err_a_close_leaves_something_attached() -> None:
    told = Told()
    told.attached(0)
    told.kept("attach", 0, rid=True)
    told.kept("close", 0)
    (sentence,) = told.said
    assert sentence.startswith("after close of d1")
