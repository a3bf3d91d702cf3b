"""Which recorded iommufd calls touch the same things.

A bit for the table of ids, one for the fault queue, some for each id and each group.  Who looks an
object up, or uses it, reads the bit of its id: two of them may come in either order.  Who makes or
removes it, or tries to, writes it.  A call that just looks still holds what it looks at, so none is
free of writes: each writes a bit of its own.
"""

from typing import Final

from clusters.conformance.calls import Call, Value
from clusters.conformance.iommufd_tree import Tree
from clusters.conformance.operations import EVERYTHING, Footprint

TABLE: Final = 1
QUEUE: Final = 2
FIRST: Final = 2
IDS: Final = 128
"""Those that are so far apart share their bits: more may seem to depend than does."""
GROUPS: Final = 64
OWN: Final = FIRST + IDS + GROUPS
OWNS: Final = 256

NAMED: Final = ("id", "pt_id", "hwpt_id", "dev_id", "fault_id", "hwpt_out", "pt_out")
"""Arguments, of the call or of one inside it, that are ids."""
MAKING: Final = ("IOAS_ALLOC", "FAULT_QUEUE_ALLOC", "HWPT_ALLOC", "MOCK_DOMAIN_FLAGS", "DESTROY")


def id_bit(at: Value) -> int:
    """The bit of an object's id."""
    return 1 << FIRST + at % IDS if at.__class__ is int and isinstance(at, int) and at else 0


def group_bit(group: Value) -> int:
    """The bit of a group, g5."""
    digits = str(group).lstrip("g")
    return 1 << FIRST + IDS + int(digits) % GROUPS if digits.isdecimal() else 0


def footprint(call: Call, tree: Tree, queue: int) -> Footprint:
    """What a call that went this way reads and writes; `queue` is the fault queue's id."""
    if call.seq_return is None:
        return EVERYTHING
    reads, writes = 0, 1 << OWN + call.n % OWNS
    for one in (call, *[inside.call for inside in tree.all()]):
        for name in NAMED:
            reads |= id_bit(one.args.get(name))
        if "group" in one.args:
            writes |= group_bit(one.args["group"])
        elif str(one.args.get("dev")).startswith("dev"):
            writes |= group_bit(str(one.args["dev"])[3:])
        if one.call in ("iommufd_object_finalize", "iommufd_object_abort", "iommufd_object_remove"):
            writes |= id_bit(one.args.get("id")) | TABLE
        if one.call == "iommufd_hwpt_paging_alloc":
            writes |= TABLE
        if one.call in ("iopf_group_response", "iommufd_fault_iopf_handler"):
            writes |= QUEUE
        if one.call == "iommufd_auto_response_faults":
            reads |= QUEUE
        if one.call == "iommufd_hw_pagetable_attach" and one.args.get("hwpt_id") != call.args.get(
            "pt_id"
        ):
            writes |= TABLE
    if call.call in ("read", "write", "close"):
        writes |= QUEUE
        reads |= id_bit(queue)
    if call.call in MAKING:
        writes |= TABLE | (id_bit(call.args.get("id")) if call.call == "DESTROY" else 0)
    if isinstance(call.ret, int):
        reads |= id_bit(call.ret)
    return Footprint(reads, writes)
