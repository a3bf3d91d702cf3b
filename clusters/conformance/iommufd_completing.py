"""Traces of Linux 6.12 made like those of 7.3: they have no results that come back through memory.

The ids are those that were finalized meanwhile.  The driver's domains were not recorded, but when
the mappings of an IOAS went into one, and out again: so it was made before, and freed after.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from clusters.conformance.calls import Call, Value
from clusters.conformance.iommufd_tree import UNRECORDED, Tree

ADDED: Final = "iopt_table_add_domain"
REMOVED: Final = "iopt_table_remove_domain"
ALLOC: Final = "iommufd_hwpt_paging_alloc"
FINALIZED: Final = "iommufd_object_finalize"
IDS: Final = {
    "iommufd_ioas_alloc_ioctl": {"IOAS": "ioas_out"},
    "iommufd_hwpt_alloc": {"HWPT_PAGING": "hwpt_out"},
    "iommufd_test": {"SELFTEST": "stdev_out", "DEVICE": "dev_out"},
}


def completed(trees: Sequence[Tree]) -> list[Tree]:
    """The same if nothing is missing."""
    names = {one.call.call for tree in trees for one in tree.all()}
    if ADDED not in names or "domain_alloc_paging_flags" in names:
        return list(trees)
    devices: dict[str, Value] = {}
    return [_completed(tree, devices) for tree in trees]


def _completed(tree: Tree, devices: dict[str, Value]) -> Tree:
    call = tree.call
    for one in tree.all():
        if one.call.call == "iommufd_device_bind" and isinstance(one.call.ret, str):
            devices[one.call.ret] = one.call.args["dev"]
    args = dict(call.args)
    for one in tree.all():
        wanted = IDS.get(call.call, {}).get(str(one.call.args.get("type")))
        if one.call.call == FINALIZED and wanted is not None and call.ret == 0:
            args[wanted] = one.call.args["id"]
        if call.call == "iommufd_test" and "pt_id" in one.call.args:
            args.setdefault("pt_id", one.call.args["pt_id"])
    inside = [_completed(one, devices) for one in tree.inside]
    if call.call == ALLOC:
        added = tree.find(ADDED)
        if added is not None:
            made: dict[str, Value] = {"dev": devices[str(args["idev"])], "flags": ""}
            alloc = _unrecorded(call, "domain_alloc_paging_flags", made, added.call.args["domain"])
            inside.insert(0, alloc)
    done: list[Tree] = []
    for one in inside:
        done.append(one)
        if one.call.call == REMOVED:
            gone: dict[str, Value] = {"domain": one.call.args["domain"]}
            done.append(_unrecorded(one.call, "domain_free", gone, None))
    return Tree(msgspec.structs.replace(call, args=args), tuple(done))


def _unrecorded(at: Call, name: str, args: dict[str, Value], ret: Value) -> Tree:
    call = msgspec.structs.replace(at, call=name, args=args, ret=ret, kind=UNRECORDED)
    return Tree(call, ())
