"""A guest to test, and a plain host that answers it: everything succeeds, nothing is late."""

from actors.guest import Guest, Inbox
from protocol.effects import CALM, Chance, Out, Send
from protocol.facts import Fact, OpFail, OpInfo, OpOk
from protocol.machine import Device, Machine, Unit, Vm
from protocol.messages import (
    AnyMessage,
    BindPgtbl,
    DescriptorDone,
    DisableVwq,
    Done,
    DrainVwq,
    EnableVwq,
    FreePasidRange,
    GuestEnqcmd,
    GuestEnqcmdGot,
    OpenContainer,
    OpenVdev,
    OpenVm,
    PageRequestReport,
    ReleaseFds,
    RequestPasid,
    RequestPasidGot,
    ResetVdev,
    RespondPage,
    Start,
    Status,
    SubmitDescriptor,
    UnbindPgtbl,
    VmExit,
    WriteVims,
)
from protocol.names import SUPERVISOR, Name
from protocol.plan import Plan, Step
from tests.helpers import step

GUEST = "vm1.guest"
KVM = "vm1.kvm"
VDCMS = ("vdcm.dsa0", "vdcm.dsa1", "vdcm.iax0")
MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(
        Device("dsa0", "dmar0"),
        Device("dsa1", "dmar0"),
        Device("iax0", "dmar0", wq="dedicated"),
    ),
    vms=(Vm("vm1", (("dsa0", "dsa1"), ("iax0",))), Vm("vm2", (("dsa0",),)), Vm("vm3", ())),
)
Sent = list[tuple[Name, AnyMessage]]


def pairs(out: Out) -> Sent:
    """The messages that left, as (to, message)."""
    return [(effect.to, effect.message) for effect in out.effects if isinstance(effect, Send)]


def hand(guest: Guest, message: Inbox, sender: Name, chance: Chance = CALM) -> Sent:
    """What the guest sends upon it."""
    return pairs(step(guest, message, sender, chance, guest.name))


def booted(*steps: Step, plan: Plan | None = None) -> tuple[Guest, Out]:
    """A guest whose files are open, and what it did when the last of them was."""
    guest = Guest.of(MACHINE, GUEST, Plan(steps) if plan is None else plan)
    out = step(guest, Start(), SUPERVISOR, name=GUEST)
    for to, message in pairs(out):
        assert isinstance(message, OpenVm | OpenVdev | OpenContainer)
        out = step(guest, Done(message.call), to, name=GUEST)
    return guest, out


def sent_at_boot(*steps: Step) -> tuple[Guest, Sent]:
    """The same, with the messages only."""
    guest, out = booted(*steps)
    return guest, pairs(out)


class Host:
    """Answers at once and in order; says in `sins` what a good guest would not have done."""

    def __init__(self, guest: Guest, chance: Chance = CALM) -> None:
        self.guest = guest
        self.chance = chance
        self.inputs: list[tuple[Inbox, Name]] = [(Start(), SUPERVISOR)]
        self.facts: list[Fact] = []
        self.gpasids: dict[int, int] = {}
        self.bound: list[tuple[int, int]] = []
        self.slots: dict[Name, int] = {}
        self.flying: dict[tuple[Name, int], int] = {}
        self.sins: list[str] = []
        self.most_running = 0

    def run(self) -> list[OpOk | OpFail | OpInfo]:
        """Until the guest has nothing more to say; how its operations ended."""
        while self.inputs:
            message, sender = self.inputs.pop(0)
            out = step(self.guest, message, sender, self.chance, self.guest.name)
            self.facts += out.facts
            self.most_running = max(self.most_running, len(self.guest.running()))
            for to, request in pairs(out):
                self.inputs += [(answer, to) for answer in self.answers(to, request)]
        return [fact for fact in self.facts if isinstance(fact, OpOk | OpFail | OpInfo)]

    def answers(self, to: Name, request: AnyMessage) -> list[Inbox]:
        """A request's effect on the host, and what the guest gets for it."""
        match request:
            case RequestPasid(call=call):
                pasid = next(number for number in range(1, 99) if number not in self.gpasids)
                self.gpasids[pasid] = 0
                return [RequestPasidGot(call, pasid, 100 + pasid)]
            case BindPgtbl():
                self.gpasids[request.pasid] = request.gpasid
                self.bound.append((request.pasid, request.group))
                return [Done(request.call)]
            case UnbindPgtbl():
                return [*self.unbind(request), Done(request.call)]
            case FreePasidRange():
                return [*self.free(request), Done(request.call)]
            case GuestEnqcmd():
                pasid = self.behind(request.gpasid)
                if not pasid:
                    return [VmExit(request.call)]
                self.flying[request.device, request.tag] = pasid
                return [
                    GuestEnqcmdGot(request.call, accepted=True),
                    self.touch(request.device, request),
                ]
            case SubmitDescriptor():
                if f"vdcm.{to}" not in self.slots:
                    return [DescriptorDone(to, request.tag, Status.ABORT)]
                self.flying[to, request.tag] = self.slots[f"vdcm.{to}"]
                return [self.touch(to, request)]
            case RespondPage():
                done = DescriptorDone(request.device, request.group, Status.SUCCESS)
                return [Done(request.call), *self.land([(request.device, request.group)], done)]
            case ReleaseFds():
                return []
            case _:
                return self.command(to, request)

    def command(self, vdcm: Name, request: AnyMessage) -> list[Inbox]:
        """What a virtual device is told; the rest is opens."""
        ended: list[Inbox] = []
        match request:
            case EnableVwq():
                self.slots[vdcm] = self.behind(request.gpasid)
            case DisableVwq():
                self.slots.pop(vdcm, None)
            case WriteVims():
                self.slots[f"ims.{vdcm}"] = self.behind(request.gpasid)
            case ResetVdev():
                self.slots.pop(vdcm, None)
                self.slots.pop(f"ims.{vdcm}", None)
                there = [key for key in self.flying if key[0] == vdcm.removeprefix("vdcm.")]
                ended = self.land(there)
            case _:
                assert isinstance(request, OpenVm | OpenVdev | OpenContainer | DrainVwq)
        return [*ended, Done(request.call)]

    def behind(self, gpasid: int) -> int:
        """The host PASID that the guest has given this number."""
        behind = [pasid for pasid, own in self.gpasids.items() if own == gpasid]
        return behind[0] if gpasid and behind else 0

    def touch(self, device: Name, request: GuestEnqcmd | SubmitDescriptor) -> Inbox:
        """A mapped page is there; another is asked for, and the request's group is the tag."""
        pasid, tag = self.flying[device, request.tag], request.tag
        if request.mapped:
            return self.land([(device, tag)], DescriptorDone(device, tag, Status.SUCCESS))[0]
        gpasid = self.gpasids.get(pasid, 0)
        return PageRequestReport("vm1", device, pasid, 100 + pasid, gpasid, tag, request.page)

    def land(
        self, there: list[tuple[Name, int]], done: DescriptorDone | None = None
    ) -> list[Inbox]:
        """Descriptors leave their device."""
        ended = [key for key in there if self.flying.pop(key, None) is not None]
        return [done or DescriptorDone(device, tag, Status.ABORT) for device, tag in ended]

    def unbind(self, request: UnbindPgtbl) -> list[Inbox]:
        """Whoever still waits for a page waits no more."""
        devices = MACHINE.vm("vm1").groups[request.group]
        there = [key for key, p in self.flying.items() if p == request.pasid and key[0] in devices]
        in_use = [name for name in self.slots if self.slots[name] == request.pasid]
        in_use = [name for name in in_use if name.rpartition(".")[2] in devices]
        if (request.pasid, request.group) in self.bound:
            self.bound.remove((request.pasid, request.group))
        else:
            self.sins.append("late-unbind")
        self.sins += ["unbind-with-dma"] * len(there) + ["unbind-in-use"] * len(in_use)
        return self.land(there)

    def free(self, request: FreePasidRange) -> list[Inbox]:
        """The host cleans up what the guest did not."""
        pasid = request.min
        if pasid not in self.gpasids:
            self.sins.append("double-free")
        if any(bound == pasid for bound, _ in self.bound):
            self.sins.append("free-before-unbind")
        self.gpasids.pop(pasid, None)
        self.bound = [bind for bind in self.bound if bind[0] != pasid]
        self.slots = {name: held for name, held in self.slots.items() if held != pasid}
        return self.land([key for key, held in self.flying.items() if held == pasid])
