"""A device and its unit together, every link in order: what the teardown order of §4.3 rests on."""

from random import Random
from typing import cast

import pytest

from actors.device import Device
from actors.device.inbox import Inbox as DeviceInbox
from actors.iommu_unit import Inbox as UnitInbox
from actors.iommu_unit import IommuUnit
from protocol.effects import Send
from protocol.facts import DescriptorAccepted, DescriptorEnded, DmaTranslated, Event
from protocol.machine import Device as DeviceSpec
from protocol.machine import Machine, Unit
from protocol.messages import (
    AdvancePrq,
    AnyMessage,
    ClearPresent,
    Done,
    DrainPasid,
    DrainRequests,
    DrainRequestsGot,
    EnableWq,
    EnqcmdWrite,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    PageGroupResponse,
    PageRequestInterrupt,
    ReadPrq,
    ReadPrqGot,
    ResponseCode,
    WqMode,
    WriteEntry,
    ZeroEntry,
)
from protocol.names import IOMMU, Incarnation, Name
from tests.helpers import step

P = 101
TEARDOWN, ROUND = 1, 2
SPELL = 30
LINKS = [
    (IOMMU, "dmar0"),
    (IOMMU, "thread"),
    ("dmar0", IOMMU),
    ("dmar0", "dsa0"),
    ("dsa0", "dmar0"),
    ("dsa0", "vm1.kvm"),
    ("dsa0", "vdcm.dsa0"),
    ("vm1.kvm", "dsa0"),
    ("vm2.kvm", "dsa0"),
    ("vdcm.dsa0", "dsa0"),
    ("dsa0", "vm1.guest"),
    ("dsa0", "vm2.guest"),
    ("dsa0", "vm2.kvm"),
]


def life(incarnation: Incarnation, vm: Name) -> list[AnyMessage]:
    """What the driver says to the unit from bind to drain, each after the answer to the last."""
    return [
        WriteEntry(TEARDOWN, "dsa0", P, incarnation, vm, 0x1000 * incarnation, 5),
        ClearPresent(TEARDOWN, "dsa0", P, incarnation, vm, "unbind"),
        InvalidatePasidCache(TEARDOWN, "dsa0", P, incarnation, 5),
        InvalidateIotlb(TEARDOWN, "dsa0", P, incarnation, 5),
        InvalidateDevTlb(TEARDOWN, "dsa0", P, incarnation),
        ZeroEntry(TEARDOWN, "dsa0", P, incarnation),
        ReadPrq(TEARDOWN, thread=False),
        DrainRequests(TEARDOWN, "dsa0", P, incarnation),
    ]


class Bench:
    """Both, their links, and as much of the driver as they need."""

    def __init__(self, ring: int, mapped: list[bool], ranks: list[list[int]]) -> None:
        machine = Machine((Unit("dmar0", ring),), (DeviceSpec("dsa0", "dmar0"),), ())
        self.unit = IommuUnit.of(machine, "dmar0")
        self.device = Device.of(machine, "dsa0")
        self.mapped = mapped
        self.ranks = ranks
        self.links: dict[tuple[Name, Name], list[AnyMessage]] = {}
        self.facts: list[Event] = []
        self.script: list[AnyMessage] = []
        self.commands = 0
        self.drained = False
        self.held = False
        self.left_behind: list[object] = []
        self.in_round = False
        self.interrupted = False

    def send(self, source: Name, to: Name, message: AnyMessage) -> None:
        self.links.setdefault((source, to), []).append(message)

    def run(self) -> None:
        """Deliver until nothing is left: for a while by rank of the links, then by turns."""
        for step_number in range(3000):
            if not self.links:
                return
            link = next(iter(self.links))
            if step_number < SPELL * len(self.ranks):
                rank = [LINKS[one] for one in self.ranks[step_number // SPELL]]
                link = min(self.links, key=rank.index)
            message, *left = self.links.pop(link)
            if left:
                self.links[link] = left  # At the end of the dict: the others come first next time.
            self.deliver(*link, message)
        pytest.fail("it never ends")

    def deliver(self, source: Name, to: Name, message: AnyMessage) -> None:
        if to == "dmar0":
            out = step(self.unit, cast("UnitInbox", message), source, name=to)
        elif to == "dsa0":
            out = step(self.device, cast("DeviceInbox", message), source, name=to)
        else:
            if to == IOMMU:
                self.drive(message)
            elif to == "thread":
                self.run_thread(message)
            elif to == "vm1.kvm":
                self.command_retired()
            elif to == "vdcm.dsa0":
                self.drained = True
                if self.held:
                    self.go_on()
            return
        self.facts.extend(out.facts)
        for effect in out.effects:
            assert isinstance(effect, Send)
            self.send(to, effect.to, effect.message)

    def drive(self, message: AnyMessage) -> None:
        """The driver: the PRQ thread's affairs wait for the thread, the script goes on at once."""
        match message:
            case PageRequestInterrupt() | Done(call=2) | ReadPrqGot(call=2):
                self.send(IOMMU, "thread", message)
            case ReadPrqGot(requests=requests) if requests:
                self.send(IOMMU, "dmar0", ReadPrq(TEARDOWN, thread=False))
            case DrainRequestsGot(overflow=True):
                self.send(IOMMU, "dmar0", DrainRequests(TEARDOWN, "dsa0", P, 0))
            case _:
                self.go_on()

    def run_thread(self, message: AnyMessage) -> None:
        """One round at a time; everybody gets the page."""
        match message:
            case PageRequestInterrupt():
                self.interrupted = True
            case ReadPrqGot(requests=requests):
                for one in requests:
                    code, group = ResponseCode.SUCCESS, (one.pasid, one.incarnation, one.group)
                    answer = PageGroupResponse(one.device, *group, code, mapped=True)
                    self.send(IOMMU, "dmar0", answer)
                self.send(IOMMU, "dmar0", AdvancePrq(ROUND, len(requests)))
            case _:
                self.in_round = False
        if self.interrupted and not self.in_round:
            self.interrupted, self.in_round = False, True
            self.send(IOMMU, "dmar0", ReadPrq(ROUND, thread=True))

    def go_on(self) -> None:
        """The next life begins when the last is torn down and the device is drained of it."""
        match self.script:
            case [WriteEntry(incarnation=8), *_] if not self.drained:
                self.held = True
            case [WriteEntry(incarnation=8, vm=vm), *_]:
                self.look()
                self.submit(vm, 8)
                self.send(IOMMU, "dmar0", self.script.pop(0))
            case [message, *_]:
                self.send(IOMMU, "dmar0", message)
                del self.script[0]
            case _:
                self.look()

    def look(self) -> None:
        """What is there of the PASID at the end of a teardown."""
        self.left_behind += self.unit.ring
        self.left_behind += [*self.unit.entries, *self.unit.pasid_cache, *self.unit.iotlb]
        self.left_behind += [*self.unit.queue, *self.device.tlb]

    def submit(self, vm: Name, incarnation: Incarnation) -> None:
        """All of its commands are on their way at once."""
        for tag, flag in enumerate(self.mapped):
            write = EnqcmdWrite(1, vm, P, incarnation, tag, tag % 3, flag)
            self.send(f"{vm}.kvm", "dsa0", write)

    def command_retired(self) -> None:
        """When no command of vm1 is on its way any more, its PASID is aborted."""
        self.commands += 1
        if self.commands == len(self.mapped):
            self.send("vdcm.dsa0", "dsa0", DrainPasid(1, P, 7, abort=True))


def run_and_check(seed: int) -> None:
    """Ring size, descriptors, and the ranks of the links, all from one number."""
    chance = Random(seed)
    mapped = [chance.random() < 0.5 for _ in range(chance.randint(1, 6))]
    ranks = [chance.sample(range(len(LINKS)), len(LINKS)) for _ in range(chance.randrange(6))]
    bench = Bench(chance.randint(1, 3), mapped, ranks)
    for vm in ("vm1", "vm2"):
        step(bench.device, EnableWq(1, vm, WqMode.SHARED, 0, 0), "vdcm.dsa0")
    bench.script = life(7, "vm1") + (life(8, "vm2") if chance.random() < 0.7 else [])
    bench.submit("vm1", 7)
    bench.go_on()
    bench.run()

    assert not bench.script
    assert not bench.left_behind
    assert (bench.unit.overflow, bench.device.groups, bench.device.descriptors) == (False, {}, {})
    ended = [fact for fact in bench.facts if isinstance(fact, DescriptorEnded)]
    assert len(ended) == len([f for f in bench.facts if isinstance(f, DescriptorAccepted)])
    accesses = [fact for fact in bench.facts if isinstance(fact, DmaTranslated)]
    assert all(one.incarnation == one.table_incarnation for one in accesses)
    assert all(one.vm == one.table_vm for one in accesses)


def test_what_is_torn_down_in_order_leaves_nothing_to_the_next_life() -> None:
    """While descriptors run all the time; and every one of them ends."""
    for seed in range(400):
        run_and_check(seed)
