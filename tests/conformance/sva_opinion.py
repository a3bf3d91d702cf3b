"""A second opinion on a witness order: SVA as one would write it down in a hurry.

It shares nothing with the actor or with the search.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from typing import Any, Final, TypeAlias

from clusters.conformance.calls import Call, Value

LIMITS: Final = {"a0": 32, "a1": 8, "b0": 16, "b1": 8, "c0": 16, "c1": 0, "d0": 0, "f0": 6}
NEVER: Final = 1 << 60
Asks: TypeAlias = Generator[tuple[str, dict[str, Value]], Call, Value]


class Otherwise(Exception):
    """It cannot have been so."""


class Opinion:
    """`bonds`: [mm, group, device, domain, users] by name; `made` names are never used again."""

    def __init__(self) -> None:
        self.pasids: dict[str, Any] = {}
        self.domains: dict[str, list[str]] = {}
        self.users: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.bonds: dict[str, list[Any]] = {}
        self.made: set[str] = set()

    def bind(self, args: dict[str, Any]) -> Asks:
        mm, place = args["mm"], {"dev": args["dev"], "group": args["group"]}
        if args["group"] is None:
            return "-ENODEV"
        if mm not in self.pasids:
            got = yield "iommu_alloc_global_pasid", place
            if got.ret == "INVALID":
                return "-ENOSPC"
            self.pasids[mm] = got.ret
        elif self.pasids[mm] >= LIMITS[args["dev"]]:
            return "-EOVERFLOW"
        slot = {"group": args["group"], "pasid": self.pasids[mm], "type": "SVA"}
        there = (yield "iommu_attach_handle_get", slot).ret
        if not str(there).startswith("-"):
            bond = self.bonds.get(str(there))
            if bond is None or bond[0] != mm:
                return "-EBUSY"
            bond[4] += 1
            return there
        if there != "-ENOENT":
            return there
        for domain in list(self.domains.get(mm, [])):
            tried = yield from self.attach(args, domain)
            if not str(tried).startswith("-"):
                return tried
        new = (yield "domain_alloc_sva", {**place, "mm": mm}).ret
        if str(new).startswith("-"):
            return new
        self.held[mm] += 1
        self.domains.setdefault(mm, []).insert(0, str(new))
        ret = yield from self.attach(args, str(new))
        if str(ret).startswith("-"):
            self.held[mm] -= 1
            self.domains[mm].remove(str(new))
            yield "domain_free", {"domain": new}
        return ret

    def attach(self, args: dict[str, Any], domain: str) -> Asks:
        place = {"dev": args["dev"], "group": args["group"], "pasid": self.pasids[args["mm"]]}
        back = yield "iommu_attach_device_pasid", {"domain": domain, **place}
        name = str(back.args["handle"])
        if back.ret != 0:
            if name != "bond_failed":
                raise Otherwise
            return back.ret
        if name in self.made:
            raise Otherwise
        self.made.add(name)
        self.users[domain] += 1
        self.bonds[name] = [args["mm"], args["group"], args["dev"], domain, 1]
        return name

    def unbind(self, args: dict[str, Any]) -> Asks:
        bond = self.bonds.get(args["handle"])
        if bond is None:
            raise Otherwise
        mm, group, device, domain, _ = bond
        bond[4] -= 1
        if not bond[4]:
            place = {"dev": device, "group": group, "pasid": self.pasids[mm]}
            yield "iommu_detach_device_pasid", {"domain": domain, **place}
            del self.bonds[args["handle"]]
            self.users[domain] -= 1
            if not self.users[domain]:
                self.domains[mm].remove(domain)
                self.held[mm] -= 1
                yield "domain_free", {"domain": domain}
        return None

    def get_pasid(self, args: dict[str, Any]) -> Value:
        if args["handle"] not in self.bonds:
            raise Otherwise
        return self.pasids[self.bonds[args["handle"]][0]]  # type: ignore[no-any-return]

    def drop(self, args: dict[str, Any]) -> Asks:
        if self.held[args["mm"]]:
            raise Otherwise
        pasid = self.pasids.pop(args["mm"], None)
        if pasid is not None:
            yield "iommu_free_global_pasid", {"pasid": pasid}
        return None


def explains(calls: Sequence[Call], order: Iterable[tuple[int, int]]) -> bool:
    """Whether the order is one of all finished calls, within their intervals, and right."""
    inside: dict[int, list[Call]] = {call.n: [] for call in calls if call.parent is None}
    for call in calls:
        if call.parent is not None:
            inside[call.parent].append(call)
    by_n = {call.n: call for call in calls}
    at: Counter[int] = Counter()
    now, holder = -NEVER, None
    opinion = Opinion()
    running: dict[int, Asks] = {}
    for n, step in order:
        call, backs = by_n[n], inside[n]
        begin = call.seq_invoke if step == 0 else backs[step - 1].seq_return
        end = call.seq_return if step == len(backs) else backs[step].seq_invoke
        now = max(now, NEVER if begin is None else begin)
        if at[n] != step or now >= (NEVER if end is None else end):
            return False
        at[n] += 1
        locks = call.call.endswith("bind_device") and call.args.get("group", "g") is not None
        if locks:
            if holder not in (None, n):
                return False
            holder = n if step < len(backs) else None
        try:
            if not _right(opinion, running, call, (step, backs)):
                return False
        except Otherwise:
            return False
    return all(at[n] == len(backs) + 1 for n, backs in inside.items() if by_n[n].seq_return)


def _right(
    opinion: Opinion, running: dict[int, Asks], call: Call, at: tuple[int, list[Call]]
) -> bool:
    """Whether a step asks or answers what was recorded."""
    step, backs = at
    args: Any = call.args
    if call.call == "iommu_sva_get_pasid":
        return call.seq_return is None or opinion.get_pasid(args) == call.ret
    if step == 0:
        kind = {
            "iommu_sva_bind_device": opinion.bind,
            "iommu_sva_unbind_device": opinion.unbind,
            "mm_pasid_drop": opinion.drop,
        }[call.call]
        running[call.n] = kind(args)
    try:
        asked = running[call.n].send(backs[step - 1] if step else None)  # type: ignore[arg-type]
    except StopIteration as stop:
        ended = call.seq_return is not None
        same: bool = stop.value == call.ret and type(stop.value) is type(call.ret)
        return step == len(backs) and (same or not ended)
    if step == len(backs):
        return False
    name, wanted = asked
    given = {key: value for key, value in backs[step].args.items() if key != "handle"}
    return backs[step].call == name and given == wanted
