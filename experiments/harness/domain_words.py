"""What a message is in the kernel's words and in plain ones: for stories that people send around.

A call is told where it is made: `ioasid_free` runs in its caller's context, not in the core's.
What is not asked but told (a notification, a work, a response) is told where it arrives.  Answers
are not told at all: what they say is seen in what is done next.
"""

from typing import Final

from msgspec import Struct

from protocol.facts import MessageDelivered


class Words(Struct, frozen=True):
    """`call` is what the kernel calls it, `phrase` what somebody does.  `here`: told at receipt."""

    call: str
    phrase: str
    here: bool = False


WORDS: Final[dict[str, Words]] = {
    # A guest at its doors.
    "OpenContainer": Words("open(/dev/vfio/vfio), group {group}", "opens group {group}"),
    "OpenVdev": Words("open(mdev)", "opens its virtual device"),
    "OpenVm": Words("KVM_CREATE_VCPU", "creates its first vCPU"),
    "RequestPasid": Words("VFIO_IOMMU_PASID_REQUEST(ALLOC)", "asks VFIO for a PASID"),
    "FreePasidRange": Words(
        "VFIO_IOMMU_PASID_REQUEST(FREE, {min}..{max})", "frees PASIDs {min} to {max}"
    ),
    "BindPgtbl": Words("VFIO_IOMMU_NESTING_OP(BIND, {pasid})", "binds its table to PASID {pasid}"),
    "UnbindPgtbl": Words("VFIO_IOMMU_NESTING_OP(UNBIND, {pasid})", "unbinds PASID {pasid}"),
    "RespondPage": Words("page response, group {group}", "answers page request {group}"),
    "ReleaseFds": Words("release of {vm}'s files", "closes the files of {vm}", here=True),
    "EnableVwq": Words("ENABLE_WQ(gpasid {gpasid})", "enables its WQ with guest PASID {gpasid}"),
    "DisableVwq": Words("DISABLE_WQ", "disables its WQ"),
    "DrainVwq": Words("DRAIN_WQ", "drains its WQ"),
    "ResetVdev": Words("RESET_DEVICE", "resets its virtual device"),
    "WriteVims": Words(
        "IMS entry = gpasid {gpasid}", "writes guest PASID {gpasid} to its interrupt store"
    ),
    "GuestEnqcmd": Words("ENQCMD(gpasid {gpasid})", "submits with guest PASID {gpasid}"),
    "SubmitDescriptor": Words("MOVDIR64B to the portal", "submits to its dedicated WQ"),
    # The IOASID core.
    "AllocSet": Words("ioasid_set_alloc({token})", "allocates a set for {token}"),
    "FreeSet": Words("ioasid_set_free(set {set})", "frees set {set}"),
    "AllocPasid": Words("ioasid_alloc({min}..{max})", "allocates a PASID"),
    "FreePasid": Words("ioasid_free({pasid})", "frees PASID {pasid}"),
    "FreeAllInSet": Words("ioasid_free_all_in_set({set})", "frees all PASIDs of set {set}"),
    "GetPasid": Words("ioasid_get({pasid})", "gets PASID {pasid}"),
    "GetIfOwned": Words("ioasid_get_if_owned({pasid})", "gets PASID {pasid}, if it is {token}'s"),
    "PutPasid": Words("ioasid_put({pasid})", "puts PASID {pasid}"),
    "AttachData": Words("ioasid_attach_data({pasid})", "attaches its data to PASID {pasid}"),
    "DetachData": Words("ioasid_detach_data({pasid})", "detaches its data from PASID {pasid}"),
    "AttachSpid": Words("ioasid_attach_spid({pasid}, {spid})", "gives PASID {pasid} SPID {spid}"),
    "DetachSpid": Words("ioasid_detach_spid({pasid})", "takes the SPID of PASID {pasid}"),
    "FindPasid": Words("ioasid_find({pasid})", "looks PASID {pasid} up"),
    "FindBySpid": Words("ioasid_find_by_spid({spid})", "looks up what SPID {spid} stands for"),
    "RegisterNotifier": Words("ioasid_register_notifier()", "registers its notifier"),
    "RegisterNotifierMm": Words(
        "ioasid_register_notifier_mm({mm})", "registers its notifier for {mm}"
    ),
    "UnregisterNotifier": Words("ioasid_unregister_notifier({mm})", "unregisters its notifier"),
    "NotifyFree": Words("IOASID_NOTIFY_FREE {pasid}", "is told that {pasid} is freed", here=True),
    "NotifyBind": Words("IOASID_NOTIFY_BIND {pasid}", "is told that {pasid} is bound", here=True),
    "NotifyUnbind": Words(
        "IOASID_NOTIFY_UNBIND {pasid}", "is told that {pasid} is unbound", here=True
    ),
    "QueueWork": Words("ioasid_queue_work({pasid})", "queues a work for PASID {pasid}"),
    "RunWork": Words("work for PASID {pasid}", "runs its work for PASID {pasid}", here=True),
    # The IOMMU driver and the unit.
    "AttachDomain": Words("aux_domain_add_dev({device})", "attaches {vm}'s domain to {device}"),
    "DetachDomain": Words(
        "aux_domain_remove_dev({device})", "detaches {vm}'s domain from {device}"
    ),
    "BindGpasid": Words(
        "intel_svm_bind_gpasid({device}, {pasid})", "binds PASID {pasid} on {device}"
    ),
    "UnbindGpasid": Words(
        "intel_svm_unbind_gpasid({device}, {pasid})", "unbinds PASID {pasid} from {device}"
    ),
    "PageResponse": Words(
        "intel_svm_page_response({device}, {pasid})", "answers a page request of {device}"
    ),
    "FlushFaults": Words("iopf_queue_flush_dev({device})", "flushes the faults of {device}"),
    "WriteEntry": Words(
        "PASID entry {device}[{pasid}] = present", "makes PASID {pasid} present on {device}"
    ),
    "ClearPresent": Words(
        "PASID entry {device}[{pasid}] P = 0", "clears PASID {pasid} on {device}"
    ),
    "ZeroEntry": Words("PASID entry {device}[{pasid}] = 0", "zeroes entry {pasid} on {device}"),
    "InvalidatePasidCache": Words("PASID-cache invalidation {pasid}", "flushes the PASID cache"),
    "InvalidateIotlb": Words("IOTLB invalidation {pasid}", "flushes the IOTLB"),
    "InvalidateDevTlb": Words("device-TLB invalidation {pasid}", "flushes {device}'s TLB"),
    "DrainRequests": Words("page-request drain {pasid}", "drains page requests of PASID {pasid}"),
    "ReadPrq": Words("reads the PRQ", "reads the page-request ring"),
    "PageRequestReport": Words(
        "page request {pasid}, group {group}", "is asked for a page of {pasid}", here=True
    ),
    "PageGroupResponse": Words(
        "page group response {pasid}", "has its page request answered", here=True
    ),
    # The device.
    "EnqcmdWrite": Words("ENQCMD arrives with {pasid}", "takes work with PASID {pasid}", here=True),
    "EnableWq": Words("WQCFG.pasid = {pasid}", "programs PASID {pasid} into the WQ"),
    "DisableWq": Words("disables the WQ", "stops the WQ"),
    "DrainWq": Words("drains the WQ", "drains the WQ"),
    "DrainPasid": Words("DRAIN_PASID {pasid}", "drains PASID {pasid} in the device"),
    "WriteIms": Words("IMS.pasid = {pasid}", "programs PASID {pasid} into the IMS"),
    "RaisePageRequest": Words("page request {pasid}", "asks for a page of PASID {pasid}"),
    "PageRequest": Words("page request {pasid} posted", "posts a page request"),
    "Translate": Words("translation request {pasid}", "asks to translate for PASID {pasid}"),
    "UntranslatedDma": Words("DMA with PASID {pasid}", "accesses memory with PASID {pasid}"),
    "FlushDevTlb": Words("device-TLB flush {pasid}", "drops its TLB lines of {pasid}", here=True),
    "DeviceReset": Words("reset of the function", "hears of a reset", here=True),
    "ReturnToService": Words("back in service", "is back in service", here=True),
    # A process, its mm and its files.
    "OpenFile": Words("open(accelerator)", "opens the accelerator"),
    "BindFile": Words("ioctl: bind", "binds its address space"),
    "UnbindFile": Words("ioctl: unbind", "unbinds its address space"),
    "PutFile": Words("close()", "lets go of the file"),
    "DupFiles": Words("fork()", "forks, and {child} inherits its files"),
    "Kill": Words("SIGKILL", "is killed", here=True),
    "BindMm": Words("intel_svm_bind_mm({device}, {vm})", "binds {vm}'s mm on {device}"),
    "UnbindMm": Words("intel_svm_unbind_mm({device}, {vm})", "unbinds {vm}'s mm from {device}"),
    "PinMm": Words("mmgrab()", "pins the mm"),
    "UnpinMm": Words("mmdrop()", "unpins the mm"),
    "AssignPasid": Words("mm->pasid = {pasid}", "gives the mm PASID {pasid}"),
    "RegisterMmNotifier": Words("mmu_notifier_register()", "registers with the mm"),
    "UnregisterMmNotifier": Words("mmu_notifier_unregister()", "takes its notifier off the mm"),
    "MmRelease": Words("mmu_notifier release({pasid})", "hears that the mm is going", here=True),
    "LoadMsr": Words("IA32_PASID = {pasid}", "loads IA32_PASID with {pasid}"),
    "HostLost": Words("{name} is lost", "hears that {name} is lost", here=True),
}
SILENT: Final = (
    "Done", "NotifyReply", "WorkDone", "Start", "Told", "Refused", "NotifyAlloc", "TimerFired",
    "Forked", "VmExit", "Translated",
)  # fmt: skip
"""Not told, unless they do something: answers, and what is not of the kernel."""


class _Unknown(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"


def words_of(message: MessageDelivered) -> Words | None:
    """The words for what was delivered, filled in; None: it is not told by itself."""
    name = message.message
    values = _Unknown(message.detail)
    known = WORDS.get(name)
    if known is None:
        if name in SILENT or name.endswith("Got"):
            return None
        pasid = message.detail.get("pasid")
        said = f"{name}({pasid})" if pasid is not None else name
        return Words(said, f"gets {said}", here=True)
    return Words(known.call.format_map(values), known.phrase.format_map(values), known.here)


def doer(message: MessageDelivered, receiver: str, words: Words) -> str:
    """In whose context it is told."""
    return receiver if words.here else message.peer
