"""Recorded iommufd calls as operations: one for each system call, with what iommufd asks outwards.

A system call was recorded with all that happened inside it.  iommufd's own functions say by which
way the call went; the calls of the IOMMU core and of the driver are its questions, and what happens
inside those is not iommufd's affair.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from clusters.conformance.calls import Call

QUESTIONS: Final = (
    "iommu_attach_group_handle",
    "iommu_replace_group_handle",
    "iommu_detach_group_handle",
    "iommu_attach_device_pasid",
    "iommu_replace_device_pasid",
    "iommu_detach_device_pasid",
    "iommu_attach_handle_get",
    "iommu_device_claim_dma_owner",
    "iommu_device_release_dma_owner",
    "domain_alloc_paging_flags",
    "domain_alloc_nested",
    "domain_free",
    "domain_free_nested",
    "iommu_report_device_fault",
    "iopf_group_response",
)
"""What iommufd asks the core and the driver."""
CLEANING: Final = ("domain_free", "domain_free_nested", "iommu_device_release_dma_owner")
"""What a call that is refused asks only after it has failed."""
INSIDE: Final = (
    "iommufd_fops_ioctl",
    "iommufd_device_attach",
    "iommufd_device_replace",
    "iommufd_device_detach",
    "iommufd_device_bind",
    "iommufd_device_unbind",
    "iommufd_hw_pagetable_attach",
    "iommufd_hw_pagetable_detach",
    "iommufd_hwpt_paging_alloc",
    "iommufd_hwpt_paging_destroy",
    "iommufd_hwpt_nested_destroy",
    "iommufd_fault_destroy",
    "iommufd_fault_iopf_handler",
    "iommufd_auto_response_faults",
    "iommufd_object_finalize",
    "iommufd_object_abort",
    "iommufd_object_remove",
    "attach_dev",
    "set_dev_pasid",
    "iopt_table_add_domain",
    "iopt_table_remove_domain",
    "iopf_queue_add_device",
    "iopf_queue_remove_device",
)
"""What happens inside iommufd, the core and the driver."""
IOCTLS: Final = {
    "iommufd_ioas_alloc_ioctl": "IOAS_ALLOC",
    "iommufd_fault_alloc": "FAULT_QUEUE_ALLOC",
    "iommufd_hwpt_alloc": "HWPT_ALLOC",
    "iommufd_destroy": "DESTROY",
}
FILES: Final = {
    "iommufd_fault_fops_read": "read",
    "iommufd_fault_fops_write": "write",
    "iommufd_eventq_fops_release": "close",
}
TESTS: Final = (
    "MOCK_DOMAIN",
    "MOCK_DOMAIN_FLAGS",
    "MOCK_DOMAIN_REPLACE",
    "PASID_ATTACH",
    "PASID_REPLACE",
    "PASID_DETACH",
    "PASID_CHECK_HWPT",
    "TRIGGER_IOPF",
)
UNRECORDED: Final = "unrecorded"
"""The kind of a call that must have been made, and has no events."""
IGNORED: Final = ("iommufd_fops_open", "iommufd_fops_release")
"""The file itself: a context begins with nothing, and whatever is left goes with it unrecorded."""
PT_OUT: Final = "pt_out"
MOCK_OUTS: Final = ("stdev_out", "dev_out", "hwpt_out")
OUTS: Final = ("ioas_out", "fault_out", "hwpt_out", "stdev_out", "dev_out", "pt_out")


class Tree(Struct, frozen=True):
    """A call with those inside it."""

    call: Call
    inside: tuple["Tree", ...]

    def find(self, *names: str) -> "Tree | None":
        """The first of these, in the order of entry."""
        return next((one for one in self.all() if one.call.call in names), None)

    def all(self) -> Iterable["Tree"]:
        """Every call inside, in the order of entry."""
        for one in self.inside:
            yield one
            yield from one.all()


def trees_of(calls: Sequence[Call]) -> list[Tree]:
    """The outermost calls."""
    below: dict[int | None, list[Call]] = {}
    for call in calls:
        below.setdefault(call.parent, []).append(call)

    def tree(call: Call) -> Tree:
        return Tree(call, tuple(tree(one) for one in below.get(call.n, ())))

    return [tree(call) for call in below.get(None, ())]


def operation_call(tree: Tree) -> Call | None:
    """The system call under the name of what it does; None: nothing that concerns us."""
    call = tree.call
    if call.call in FILES:
        return _named(call, FILES[call.call], call)
    if call.call in IGNORED:
        return None
    for one in tree.inside:
        if one.call.call in IOCTLS:
            return _named(call, IOCTLS[one.call.call], one.call)
        if one.call.call == "iommufd_test" and one.call.args.get("op") in TESTS:
            return _named(call, str(one.call.args["op"]), one.call)
    return call


def _named(outer: Call, name: str, inner: Call) -> Call:
    """The result is what came back through memory, if the call succeeded and something did.

    The name of an argument that came back stays, so that one sees whether it was recorded.
    """
    left_out = (*OUTS, "op", "ucmd", "file")
    args = {key: value for key, value in inner.args.items() if key not in left_out}
    ret = inner.ret
    outs = [inner.args[key] for key in MOCK_OUTS if key in inner.args]
    if PT_OUT in inner.args or len(outs) == len(MOCK_OUTS):
        args[PT_OUT] = None
    if ret == 0 and len(outs) > 1:
        ret = " ".join(map(str, outs))
    elif ret == 0:
        ret = next((inner.args[key] for key in OUTS if key in inner.args), 0)
    return msgspec.structs.replace(outer, call=name, args=args, ret=ret)


def questions_of(tree: Tree) -> list[Call]:
    """What iommufd asks, in order: what a question leads to is not ours."""
    found: list[Call] = []
    for one in tree.inside:
        if one.call.call in QUESTIONS:
            found.append(one.call)
        else:
            found += questions_of(one)
    return found


def flattened(trees: Iterable[Tree]) -> list[Call]:
    """Operations and their questions; what is not known stays as it is."""
    flat: list[Call] = []
    for tree in trees:
        call = operation_call(tree)
        if call is None:
            continue
        flat.append(call)
        parent = call.n
        flat += [msgspec.structs.replace(one, parent=parent) for one in questions_of(tree)]
        flat += [
            msgspec.structs.replace(one.call, parent=parent)
            for one in tree.all()
            if one.call.call not in (*QUESTIONS, *INSIDE, *IOCTLS, "iommufd_test")
        ]
    return flat
