"""The SVA core and mms: a new mm's PASID, that of an ENQCMD, and the kernel's page tables."""

from actors.sva import Sva
from protocol.effects import Send
from protocol.facts.accelerators import KvaFlushBegun, KvaFlushed, KvaFlushEnded, MmPasidBegun
from protocol.messages import AnyMessage, Done
from protocol.messages.accelerators import GetMmPasid, InitMmPasid, MmPasidGot
from protocol.messages.address_spaces import InvalidateKva, InvalidateSecondaryTlbs
from protocol.messages.iommu_core import AllocGlobalPasidGot
from protocol.messages.sva import MmPasidDrop, SvaBindDevice
from protocol.names import INVALID_PASID, IOMMU, IOMMU_CORE, Name
from tests.actors.sva_hands import MACHINE, Hands, M, N
from tests.helpers import step

PROC: Name = "proc1"


def answer(sva: Sva, message: GetMmPasid | InvalidateKva) -> AnyMessage:
    """The one answer that it gives at once."""
    out = step(sva, message, PROC)
    [only] = out.effects
    assert isinstance(only, Send)
    return only.message


def test_an_enqcmd_gets_the_pasid_that_the_mm_has() -> None:
    hands = Hands()
    assert answer(hands.sva, GetMmPasid(5, M)) == MmPasidGot(5, INVALID_PASID, 0)
    pasid = hands.pasid(hands.bound("d1"))
    got = answer(hands.sva, GetMmPasid(5, M))
    assert isinstance(got, MmPasidGot)
    assert got.pasid == pasid


def test_a_copy_of_a_bound_mm_has_no_pasid() -> None:
    hands = Hands()
    hands.bound("d1")
    out = step(hands.sva, InitMmPasid(5, N, M), PROC)
    assert out.facts == [MmPasidBegun(N, M, 0, 0)]
    assert answer(hands.sva, GetMmPasid(6, N)) == MmPasidGot(6, INVALID_PASID, 0)


def test_nothing_is_flushed_where_nobody_is_bound() -> None:
    assert answer(Sva.of(MACHINE, "sva"), InvalidateKva(5)) == Done(5)


def test_every_domain_of_every_mm_is_flushed_before_page_tables_of_the_kernel_go() -> None:
    hands = Hands()
    for device, mm in (("d1", M), ("other", M), ("d1", N)):
        hands.bound(device, mm)
    domains = [one.name for mm in hands.sva.mms.values() for one in mm.domains]
    assert len(domains) == 3
    out = step(hands.sva, InvalidateKva(5), PROC)
    assert KvaFlushBegun() in out.facts
    for domain in domains:
        assert out.effects == [Send(IOMMU, InvalidateSecondaryTlbs(0, domain, 0))]
        out = step(hands.sva, Done(0), IOMMU)
        assert KvaFlushed(domain) in out.facts
    assert KvaFlushEnded() in out.facts
    assert out.effects == [Send(PROC, Done(5))]


def test_an_mm_that_is_being_bound_is_given_back_later() -> None:
    sva = Sva.of(MACHINE, "sva")
    step(sva, SvaBindDevice(5, "d1", M), "uacce.d1")
    assert step(sva, MmPasidDrop(6, M), PROC).effects == []
    step(sva, AllocGlobalPasidGot(0, 1, 10), IOMMU_CORE)
    assert sva.mms[M].pasid == 1
