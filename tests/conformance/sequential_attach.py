"""A second opinion on a witness order: the IOMMU core as one would write it down in a hurry.

It shares nothing with the actor or with the search.  A call is a generator: it yields what it asks
the driver, gets the answer, and returns its result.  A lock is a name in a dict.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from clusters.conformance.calls import Call, Value

NEVER: Final = 1 << 60
GROUPS: Final = {
    "g0": ["a0"], "g1": ["a1"], "g2": ["b0", "b1"], "g3": ["c0", "c1"], "g4": ["d0"], "g5": ["f0"],
}  # fmt: skip
LIMITS: Final = {"a0": 32, "a1": 8, "b0": 16, "b1": 8, "c0": 16, "c1": 0, "d0": 0, "f0": 6, "n0": 0}
KINDS: Final = {"nested0": "NESTED", "blocked0": "BLOCKED"}
Question: TypeAlias = tuple[str, str, int, str, str | None]
Thread: TypeAlias = Generator[Question, Value, Value]


class Blocked(Exception):
    """Somebody else has the lock."""


class Table:
    """All there is, for one kernel: `6.12` or `7.3`."""

    def __init__(self, kernel: str) -> None:
        self.new = kernel == "7.3"
        self.members = {group: list(devices) for group, devices in GROUPS.items()}
        self.slots: dict[tuple[str, int], tuple[str, Value, str]] = {}
        self.says: dict[str, str] = {}
        self.rid = dict.fromkeys(GROUPS, "default")
        self.owners: dict[str, list[str]] = {group: [] for group in GROUPS}
        self.out: set[int] = set()
        self.held: set[str] = set()
        self.no_memory: Callable[[], bool] = lambda: False

    def group(self, dev: str) -> str:
        return next((name for name, devices in self.members.items() if dev in devices), "")

    def lock(self, group: str) -> None:
        if group in self.held:
            raise Blocked
        self.held.add(group)

    def asked(self, group: str) -> list[str]:
        return [dev for dev in self.members[group] if LIMITS[dev]]

    def domain(self, slot: tuple[str, Value, str]) -> str:
        return self.says[str(slot[1])] if slot[1] else slot[2]

    # --- The calls ----------------------------------------------------------------------------

    def thread(self, call: Call) -> Thread:
        args: Any = call.args
        match call.call:
            case "iommu_attach_device_pasid" | "iommu_replace_device_pasid":
                refused = self.early(args, replace="replace" in call.call)
                if refused:
                    return refused
                self.lock(self.group(args["dev"]))
                try:
                    step = self.replace if "replace" in call.call else self.attach
                    return (yield from step(args, self.group(args["dev"])))
                finally:
                    self.held.discard(self.group(args["dev"]))
            case "iommu_detach_device_pasid":
                group = self.group(args["dev"])
                self.lock(group)
                for dev in self.asked(group):
                    yield self.taken(dev, args["pasid"], args["domain"])
                self.slots.pop((group, args["pasid"]), None)
                self.held.discard(group)
                return None
            case "iommu_attach_handle_get":
                return self.look(args)
            case "iommu_alloc_global_pasid":
                if self.no_memory():
                    return "INVALID"
                free = [n for n in range(1, LIMITS[args["dev"]]) if n not in self.out]
                self.out.update(free[:1])
                return free[0] if free else "INVALID"
            case "iommu_free_global_pasid":
                self.out.discard(args["pasid"])
                return None
        return self.of_group(call.call, args)

    def early(self, args: Any, *, replace: bool) -> str:  # noqa: ANN401
        no_group = "" if self.group(args["dev"]) else "-ENODEV"
        unable = ("nopasid0",) if self.new else ("nopasid0", "blocked0")
        cannot = "-EOPNOTSUPP" if args["domain"] in unable else ""
        first = (no_group or cannot) if self.new else (cannot or no_group)
        foreign = (args["domain"] == "foreignB0") != (args["dev"] == "f0")
        if args["domain"] == "blocked0":
            foreign = False
        bad = foreign or args["pasid"] == 0 or (replace and not args["handle"])
        return first or ("-EINVAL" if bad else "")

    def taken(self, dev: str, pasid: int, domain: str) -> Question:
        if self.new:
            return ("set_dev_pasid", dev, pasid, "blocked0", domain)
        return ("remove_dev_pasid", dev, pasid, domain, None)

    def attach(self, args: Any, group: str) -> Thread:  # noqa: ANN401
        pasid, domain, handle = args["pasid"], args["domain"], args["handle"]
        if any(LIMITS[dev] <= pasid for dev in self.asked(group)):
            return "-EINVAL"
        if handle:
            self.says[handle] = domain
        if (group, pasid) in self.slots:
            return "-EBUSY"
        if self.no_memory():
            return "-ENOMEM"
        state = "reserved" if self.new else "attached"
        self.slots[group, pasid] = (state, handle, domain)
        done: list[str] = []
        for dev in self.asked(group):
            said = yield ("set_dev_pasid", dev, pasid, domain, None)
            if said != 0:
                for other in done:
                    yield self.taken(other, pasid, domain)
                del self.slots[group, pasid]
                return said
            done.append(dev)
        self.slots[group, pasid] = ("attached", handle, domain)
        return 0

    def replace(self, args: Any, group: str) -> Thread:  # noqa: ANN401
        pasid, domain, handle = args["pasid"], args["domain"], args["handle"]
        self.says[handle] = domain
        slot = self.slots.get((group, pasid))
        if slot is None and self.no_memory():
            return "-ENOMEM"
        if slot is None or slot[1] == handle:
            return "-EINVAL"
        old, done = self.domain(slot), list[str]()
        for dev in self.asked(group) if old != domain else []:
            said = yield ("set_dev_pasid", dev, pasid, domain, old)
            if said != 0:
                for other in done:
                    yield ("set_dev_pasid", other, pasid, old, domain)
                return said
            done.append(dev)
        self.slots[group, pasid] = ("attached", handle, domain)
        return 0

    def look(self, args: Any) -> Value:  # noqa: ANN401
        slot = self.slots.get((args["group"], args["pasid"]))
        if slot is None or not slot[1] or slot[0] == "reserved":
            return "-ENOENT"
        kind = KINDS.get(self.says[str(slot[1])], "UNMANAGED")
        return slot[1] if args["type"] in ("any", kind) else "-EBUSY"

    def of_group(self, name: str, args: Any) -> Value:  # noqa: ANN401
        group = args["group"] if "group" in args else self.group(args.get("dev", ""))
        if name.startswith("device_"):
            group = "g2"
        if group in self.held:
            raise Blocked
        busy = any(where == group for where, _ in self.slots)
        owners = self.owners[group]
        match name:
            case "device_plug":
                self.members["g2"].append("b1")
            case "device_unplug":
                self.members["g2"].remove("b1")
                return None
            case "iommu_device_claim_dma_owner":
                if owners and args["owner"] not in owners:
                    return "-EPERM"
                if not owners and (busy or self.rid[group] != "default"):
                    return "-EBUSY"
                self.rid[group] = self.rid[group] if owners else "blocked"
                owners.append(args["owner"])
            case "iommu_device_release_dma_owner":
                if len(owners) > 1 or (owners and not busy):
                    owners.pop()
                    self.rid[group] = self.rid[group] if owners else "default"
                return None
            case "iommu_attach_group_handle" if (group, 0) in self.slots or self.rid[group] not in (
                "default",
                "blocked",
            ):
                return "-EBUSY"
            case "iommu_detach_group_handle":
                self.slots.pop((group, 0), None)
                self.rid[group] = "blocked" if owners else "default"
                return None
            case _:
                self.says[args["handle"]] = self.rid[group] = args["domain"]
                self.slots[group, 0] = ("attached", args["handle"], args["domain"])
        return 0


def question(back: Call) -> Question:
    """What the driver was told."""
    args: Any = back.args
    return (back.call, args["dev"], args["pasid"], args["domain"], args.get("old"))


def explains(calls: Sequence[Call], order: Iterable[tuple[int, int]], kernel: str) -> bool:
    """Whether the order is one of all finished calls, within their intervals, and right."""
    return opinion(calls, kernel)([*order])


def opinion(calls: Sequence[Call], kernel: str) -> Callable[[Sequence[tuple[int, int]]], bool]:
    """The same, to be asked of many orders."""
    inside: dict[int, list[Call]] = {call.n: [] for call in calls if call.parent is None}
    for call in calls:
        if call.parent is not None and call.kind == "driver":
            inside[call.parent].append(call)
    by_n = {call.n: call for call in calls}

    def in_time(order: Sequence[tuple[int, int]]) -> bool:
        at, now = dict.fromkeys(inside, 0), -NEVER
        for n, step in order:
            call, backs = by_n[n], inside[n]
            begin = call.seq_invoke if step == 0 else backs[step - 1].seq_return
            end = call.seq_return if step == len(backs) else backs[step].seq_invoke
            now = max(now, NEVER if begin is None else begin)
            if at[n] != step or now >= (NEVER if end is None else end):
                return False
            at[n] += 1
        return all(at[n] == len(backs) + 1 for n, backs in inside.items() if by_n[n].seq_return)

    def right(order: Sequence[tuple[int, int]]) -> bool:
        table, threads = Table(kernel), dict[int, Thread]()
        for n, step in order:
            call, backs = by_n[n], inside[n]
            thread = threads.setdefault(n, table.thread(call))
            refused = not backs and call.ret in ("-ENOMEM", "INVALID")
            table.no_memory = partial(bool, refused)
            try:
                asked = next(thread) if step == 0 else thread.send(backs[step - 1].ret)
                if step == len(backs) or asked != question(backs[step]):
                    return False
            except StopIteration as stop:
                ret = stop.value
                if step != len(backs) and call.seq_return is not None:
                    return False
                other = ret != call.ret or type(ret) is not type(call.ret)
                if call.seq_return is not None and other:
                    return False
            except Blocked:
                return False
        return True

    return lambda order: in_time(order) and right(order)
