"""What the names of an iommufd trace stand for: handles, groups, contexts, the fault queue."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from typing import Final

from clusters.conformance.calls import Call, Value
from clusters.conformance.iommufd_tree import Tree
from protocol.names import Name

BORN_BY: Final = (
    "iommu_attach_group_handle",
    "iommu_replace_group_handle",
    "iommu_attach_device_pasid",
    "iommu_replace_device_pasid",
)


class Names:
    """A handle is called after the call that made it; its name in the trace may be used again."""

    def __init__(self, trees: Iterable[Tree]) -> None:
        self._handles: dict[str, list[tuple[int, Name]]] = {}
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
            born = self._handles.setdefault(str(args.get("handle")), [])
            insort(born, (call.seq_invoke, name))
            self.domains[name] = str(args.get("domain"))

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
                waiting.setdefault(key, []).append(str(call.args.get("dev")))
            if call.call != "iopf_group_response":
                continue
            those = waiting.get(key, [])
            group = next(
                (one.call.args["group"] for one in tree.all() if "group" in one.call.args), None
            )
            mine = [one for one in those if group is None or one[3:] == str(group)[1:]]
            self.answered[call.n] = mine[0] if mine else ""
            if mine:
                those.remove(mine[0])

    def handle(self, name: Value, at: Call) -> Name:
        """What the context calls it: after the call that made it, the last before `at` ended."""
        ended = at.seq_invoke + 1 if at.seq_return is None else at.seq_return
        born = self._handles.get(str(name), [])
        place = bisect_left(born, (ended, ""))
        if not place:
            return f"{name}, which nobody made"
        return born[place - 1][1]

    def group(self, device: Value, tree: Tree) -> Name:
        """The group of a device, as this call or any other has it."""
        found = tree.find("iommu_attach_group_handle")
        if found is not None:
            return str(found.call.args["group"])
        return self.groups.get(str(device), f"group of {device}")
