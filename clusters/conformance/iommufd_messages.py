"""How a recorded iommufd call, its questions and their answers are spelled as messages."""

from collections.abc import Iterable
from typing import Final, cast

from clusters.conformance.calls import Call, Value
from clusters.conformance.iommufd_recorded import AnswerGroup
from clusters.conformance.iommufd_tree import Tree
from protocol.effects import Send
from protocol.errors import Errno, ExperimentError
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import (
    AttachDevicePasid,
    AttachGroupHandle,
    AttachHandleGet,
    AttachHandleGot,
    ClaimDmaOwner,
    DetachDevicePasid,
    DetachGroupHandle,
    ReleaseDmaOwner,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
)
from protocol.messages.iommufd import (
    AllocDomain,
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    AllocNestedDomain,
    AnswerFault,
    AttachPt,
    CheckHwpt,
    CloseFaultQueue,
    DestroyObject,
    DetachPt,
    DomainGot,
    FaultsGot,
    FreeDomain,
    MakeMockDevice,
    MockDeviceGot,
    ObjectGot,
    PtGot,
    ReadFaults,
    ReplacePt,
    ReportFault,
    RespondFault,
    TriggerFault,
)
from protocol.names import IOMMU, IOMMU_CORE, Name

FAULT_BYTES: Final = 40
"""A page request, as a reader of the queue gets it."""
BORN_BY: Final = (
    "iommu_attach_group_handle",
    "iommu_replace_group_handle",
    "iommu_attach_device_pasid",
    "iommu_replace_device_pasid",
)


class Names:
    """What the names of a trace stand for: handles, groups, contexts, the fault queue."""

    def __init__(self, trees: Iterable[Tree]) -> None:
        self._handles: dict[str, Name] = {}
        self.domains: dict[Name, Name] = {}
        self.groups: dict[str, Name] = {}
        self.contexts: dict[str, None] = {}
        self.queue = 0
        self.answered: dict[int, Name] = {}
        trees = list(trees)
        self._settle(trees)
        for tree in trees:
            for one in tree.all():
                self._learn(tree.call, one.call)

    def _learn(self, outer: Call, call: Call) -> None:
        args = call.args
        if "ctx" in args:
            self.contexts[str(args["ctx"])] = None
        if "dev" in args and "group" in args:
            self.groups[str(args["dev"])] = str(args["group"])
        if isinstance(fault := args.get("fault_out"), int):
            self.queue = fault
        if call.call in BORN_BY:
            name = f"h{outer.n}"
            self._handles[str(args["handle"])] = name
            self.domains[name] = str(args["domain"])

    def _settle(self, trees: Iterable[Tree]) -> None:
        """Whose page request each response is for: the trace has its PASID and number only.

        Detach and replace answer those of their own device; a user's answer is for the oldest.
        """
        calls = sorted(
            ((one.call, tree) for tree in trees for one in (*tree.all(), tree)),
            key=lambda pair: pair[0].seq_invoke,
        )
        waiting: dict[tuple[Value, Value], list[Name]] = {}
        for call, tree in calls:
            key = (call.args.get("pasid"), call.args.get("grpid"))
            if call.call == "iommu_report_device_fault" and call.ret == 0:
                waiting.setdefault(key, []).append(str(call.args["dev"]))
            if call.call != "iopf_group_response":
                continue
            those = waiting.get(key, [])
            group = next((one.call.args["group"] for one in tree.all() if "group" in one.call.args), None)
            mine = [one for one in those if group is None or one[3:] == str(group)[1:]]
            self.answered[call.n] = mine[0] if mine else ""
            if mine:
                those.remove(mine[0])

    def handle(self, name: Value) -> Name:
        """What the context calls it: after the call that made it."""
        found = self._handles.get(str(name))
        if found is None:
            raise ExperimentError(f"nobody has made the handle {name}")
        return found

    def group(self, device: Value) -> Name:
        """The group of a device."""
        return self.groups.get(str(device), f"group of {device}")


def number(call: Call, name: str) -> int:
    """An argument that is a number."""
    value = call.args.get(name, 0)
    if value.__class__ is not int:
        raise ExperimentError(f"call {call.n} ({call.call}): args.{name} is not a number")
    return cast("int", value)


def words(call: Call) -> tuple[str, ...]:
    """The flags."""
    return tuple(str(call.args.get("flags") or "").split())


def request_for(call: Call, tree: Tree, names: Names) -> AnyMessage:
    """What the user asked."""
    n = call.n
    match call.call:
        case "IOAS_ALLOC":
            return AllocIoas(n)
        case "FAULT_QUEUE_ALLOC":
            return AllocFaultQueue(n)
        case "HWPT_ALLOC":
            device, pt = number(call, "dev_id"), number(call, "pt_id")
            nested = "data_type" in call.args
            return AllocHwpt(n, device, pt, words(call), number(call, "fault_id"), nested)
        case "DESTROY":
            return DestroyObject(n, number(call, "id"))
        case "MOCK_DOMAIN_FLAGS":
            bound = tree.find("iommufd_device_bind")
            device = "" if bound is None else str(bound.call.args["dev"])
            return MakeMockDevice(n, device, names.group(device), number(call, "id"))
        case "TRIGGER_IOPF":
            report = tree.find("iommu_report_device_fault")
            group = 0 if report is None else number(report.call, "grpid")
            return TriggerFault(n, number(call, "dev_id"), number(call, "pasid"), group)
        case "PASID_CHECK_HWPT":
            mock, pasid = number(call, "id"), number(call, "pasid")
            return CheckHwpt(n, mock, pasid, number(call, "hwpt_id"))
        case "read":
            return ReadFaults(n, names.queue, number(call, "count") // FAULT_BYTES)
        case "write":
            return _written(n, tree, names)
        case "close":
            return CloseFaultQueue(n, names.queue)
        case _:
            return _pt(call)


def _pt(call: Call) -> AnyMessage:
    mock, pasid = number(call, "id"), number(call, "pasid")
    if call.call == "PASID_DETACH":
        return DetachPt(call.n, mock, pasid, mock=True)
    kind = AttachPt if call.call == "PASID_ATTACH" else ReplacePt
    return kind(call.n, mock, pasid, number(call, "pt_id"), mock=True)


def _written(n: int, tree: Tree, names: Names) -> AnyMessage:
    """Which group was answered is known by the answer; without one, it had none any more."""
    found = tree.find("iopf_group_response")
    if found is None:
        return AnswerFault(n, names.queue, 0, 0)
    pasid, group = number(found.call, "pasid"), number(found.call, "grpid")
    device = names.answered[found.call.n]
    return AnswerGroup(n, names.queue, device, pasid, group, number(found.call, "status"))


def asked_for(call: Call, back: Call, tree: Tree, names: Names) -> Send:
    """What the context must have asked for this call to be made."""
    args, n = back.args, call.n
    match back.call:
        case "domain_alloc_paging_flags":
            return Send(IOMMU, AllocDomain(n, str(args["dev"]), words(back)))
        case "domain_alloc_nested":
            parent = str(args["parent_domain"])
            return Send(IOMMU, AllocNestedDomain(n, str(args["dev"]), parent, words(back)))
        case "domain_free" | "domain_free_nested":
            return Send(IOMMU, FreeDomain(n, str(args["domain"])))
        case _:
            return Send(IOMMU_CORE, _of_core(call, back, tree, names))


def _of_core(call: Call, back: Call, tree: Tree, names: Names) -> AnyMessage:
    args, n = back.args, call.n
    domain, group = str(args.get("domain")), str(args.get("group"))
    device = str(args.get("dev"))
    match back.call:
        case "iommu_attach_handle_get":
            kind = "" if args["type"] == "any" else str(args["type"])
            return AttachHandleGet(n, group, number(back, "pasid"), kind)
        case "iommu_attach_group_handle":
            return AttachGroupHandle(n, group, domain, names.handle(args["handle"]))
        case "iommu_replace_group_handle":
            return ReplaceGroupHandle(n, group, domain, names.handle(args["handle"]))
        case "iommu_detach_group_handle":
            got = tree.find("iommu_attach_handle_get")
            handle = "" if got is None else names.handle(got.call.ret)
            return DetachGroupHandle(n, group, domain, handle)
        case "iommu_attach_device_pasid":
            handle, pasid = names.handle(args["handle"]), number(back, "pasid")
            return AttachDevicePasid(n, device, pasid, 0, domain, handle)
        case "iommu_replace_device_pasid":
            handle, pasid = names.handle(args["handle"]), number(back, "pasid")
            return ReplaceDevicePasid(n, device, pasid, 0, domain, handle)
        case "iommu_detach_device_pasid":
            return DetachDevicePasid(n, device, number(back, "pasid"), 0, domain)
        case "iommu_device_claim_dma_owner":
            return ClaimDmaOwner(n, device, str(args["owner"]))
        case "iommu_device_release_dma_owner":
            return ReleaseDmaOwner(n, device)
        case "iommu_report_device_fault":
            return ReportFault(n, device, number(back, "pasid"), number(back, "grpid"))
        case "iopf_group_response":
            where = (names.answered[back.n], number(back, "pasid"), number(back, "grpid"))
            return RespondFault(n, *where, number(back, "status"))
        case _:
            raise ExperimentError(f"call {back.n} ({back.call}): iommufd does not ask that")


def answer_to(call: Call, back: Call, names: Names) -> AnyMessage:
    """What it was answered."""
    ret = back.ret
    if isinstance(ret, str) and ret.startswith("-"):
        return Refused(call.n, Errno(ret[1:]))
    if back.call == "iommu_attach_handle_get":
        return AttachHandleGot(call.n, names.handle(ret))
    if back.call.startswith("domain_alloc"):
        return DomainGot(call.n, str(ret))
    return Done(call.n)


def spelled(call: Call, answer: AnyMessage) -> Value:
    """An answer of the context as the trace has it."""
    match answer:
        case Refused():
            return f"-{answer.errno.value}"
        case ObjectGot():
            return answer.id
        case PtGot():
            return answer.pt
        case MockDeviceGot():
            return f"{answer.mock} {answer.device} {answer.pt}"
        case FaultsGot():
            return FAULT_BYTES * len(answer.cookies)
        case _:
            return call.args["count"] if call.call == "write" else 0
