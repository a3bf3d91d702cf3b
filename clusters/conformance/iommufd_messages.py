"""How a recorded iommufd call, its questions and their answers are spelled as messages."""

from typing import Final, cast

from clusters.conformance.calls import Call, Value
from clusters.conformance.iommufd_names import Names
from clusters.conformance.iommufd_recorded import AnswerGroup
from clusters.conformance.iommufd_tree import PT_OUT, Tree
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
from protocol.names import IOMMU, IOMMU_CORE, IOPF

FAULT_BYTES: Final = 40
"""A page request, as a reader of the queue gets it."""


def number(call: Call, name: str) -> int:
    """An argument that is a number."""
    value = call.args.get(name, 0)
    if not isinstance(value, int):
        raise ExperimentError(f"call {call.n} ({call.call}): args.{name} is not a number")
    return value


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
        case "MOCK_DOMAIN_FLAGS" | "MOCK_DOMAIN":
            bound = tree.find("iommufd_device_bind")
            made = "" if bound is None else str(bound.call.args["dev"])
            return MakeMockDevice(n, made, names.group(made, tree), number(call, "id"))
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
    status = number(found.call, "status")
    message = AnswerGroup(n, names.queue, device, pasid, group, status)
    return cast("AnyMessage", message)


def asked_for(call: Call, back: Call, tree: Tree, names: Names) -> Send:
    """What the context must have asked for this call to be made."""
    args, n = back.args, call.n
    faults = "FAULT_ID_VALID" in words(call)
    match back.call:
        case "domain_alloc_paging_flags":
            return Send(IOMMU, AllocDomain(n, str(args["dev"]), words(back), faults))
        case "domain_alloc_nested":
            parent = str(args["parent_domain"])
            device = str(args["dev"])
            return Send(IOMMU, AllocNestedDomain(n, device, parent, words(back), faults))
        case "domain_free" | "domain_free_nested":
            return Send(IOMMU, FreeDomain(n, str(args["domain"])))
        case "iommu_report_device_fault" | "iopf_group_response":
            return Send(IOPF, _of_core(call, back, tree, names))
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
            return AttachGroupHandle(n, group, domain, names.handle(args["handle"], back))
        case "iommu_replace_group_handle":
            return ReplaceGroupHandle(n, group, domain, names.handle(args["handle"], back))
        case "iommu_detach_group_handle":
            got = tree.find("iommu_attach_handle_get")
            handle = "" if got is None else names.handle(got.call.ret, back)
            return DetachGroupHandle(n, group, domain, handle)
        case "iommu_attach_device_pasid":
            handle, pasid = names.handle(args["handle"], back), number(back, "pasid")
            return AttachDevicePasid(n, device, pasid, 0, domain, handle)
        case "iommu_replace_device_pasid":
            handle, pasid = names.handle(args["handle"], back), number(back, "pasid")
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
        if ret[1:] not in Errno.__members__:
            raise ExperimentError(f"call {back.n} ({back.call}): {ret} is no errno that we know")
        return Refused(call.n, Errno(ret[1:]))
    if back.call == "iommu_attach_handle_get":
        return AttachHandleGot(call.n, names.handle(ret, back))
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
            return answer.pt if PT_OUT in call.args else 0
        case MockDeviceGot():
            ids = (answer.mock, answer.device, answer.pt)
            return " ".join(map(str, ids if PT_OUT in call.args else ids[:2]))
        case FaultsGot():
            return FAULT_BYTES * len(answer.cookies)
        case _:
            return call.args["count"] if call.call == "write" else 0
