"""A kernel with SVA in a page: tasks that bind, unbind and die at once, one event after the other.

Whatever it does is right, so whatever it records must be explained.  What a call does is the second
opinion's, when it does it is chance's, and so is what the core and the driver answer.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from clusters.conformance.calls import Call, Value
from tests.conformance.sva_opinion import LIMITS, Asks, Opinion

GROUPS: Final = {
    "a0": "g0", "a1": "g1", "b0": "g2", "b1": "g2", "c1": "g3", "f0": "g5", "n0": None,
}  # fmt: skip
LOCKED: Final = ("iommu_sva_bind_device", "iommu_sva_unbind_device")


@dataclass
class Running:
    """A call of a task: what is recorded of it, what it does, and the call that it is inside."""

    row: dict[str, Any]
    asks: Asks | None = None
    inside: dict[str, Any] | None = None
    over: bool = False


@dataclass
class SvaKernel:
    """Each task holds what it has bound; `slots` by group and PASID."""

    random: Random
    tasks: int
    opinion: Opinion = field(default_factory=Opinion)
    rows: list[dict[str, Any]] = field(default_factory=list)
    running: dict[int, Running] = field(default_factory=dict)
    holder: int | None = None
    held: dict[int, list[str]] = field(default_factory=dict)
    slots: dict[tuple[str, int], str] = field(default_factory=dict)
    out: list[int] = field(default_factory=list)
    mms: list[str] = field(default_factory=lambda: ["mm.s0p0", "mm.s1p0", "mm.s2p0"])
    born: int = 3
    events: int = 0

    def run(self, calls: int) -> list[Call]:
        """What is recorded of so many calls."""
        left = calls
        while left or self.running:
            task = self.random.randrange(self.tasks)
            if task in self.running:
                self.go_on(task, self.running[task])
            elif left:
                left -= 1
                name, args = self.request(task)
                self.running[task] = Running(self.enter(task, None, name, args))
        return [Call(**row) for row in self.rows]

    def enter(
        self, task: int, parent: int | None, name: str, args: dict[str, Any]
    ) -> dict[str, Any]:
        row = {
            "n": len(self.rows), "task": f"t{task}", "pid": task, "cpu_in": task, "cpu_out": task,
            "seq_invoke": self.event(), "seq_return": None, "parent": parent, "call": name,
            "kind": "api", "args": args, "ret": None,
        }  # fmt: skip
        self.rows.append(row)
        return row

    def event(self) -> int:
        self.events += 1
        return self.events

    def request(self, task: int) -> tuple[str, dict[str, Any]]:
        """A task lets go only of what it holds, and an mm dies when nobody is bound to it."""
        mine = self.held.setdefault(task, [])
        chance = self.random.random()
        if mine and chance < 0.45:
            handle = mine.pop(self.random.randrange(len(mine)))
            return "iommu_sva_unbind_device", {"handle": handle}
        if mine and chance < 0.55:
            return "iommu_sva_get_pasid", {"handle": self.random.choice(mine)}
        mm = self.random.choice(self.mms)
        busy = [one.row["args"].get("mm") for one in self.running.values()]
        if chance < 0.65 and mm not in busy and not self.opinion.held[mm]:
            self.mms[self.mms.index(mm)] = f"mm.s{self.born}p0"
            self.born += 1
            return "mm_pasid_drop", {"mm": mm}
        device = self.random.choice([*GROUPS])
        return LOCKED[0], {"dev": device, "group": GROUPS[device], "mm": mm}

    def go_on(self, task: int, running: Running) -> None:
        row = running.row
        if running.over:
            row["seq_return"] = self.event()
            del self.running[task]
        elif running.inside is not None:
            inside, running.inside = running.inside, None
            self.take_effect(inside)
            inside["seq_return"] = self.event()
            self.advance(task, running, Call(**inside))
        elif row["call"] == "iommu_sva_get_pasid":
            row["ret"], running.over = self.opinion.get_pasid(row["args"]), True
        elif row["call"] not in LOCKED or self.holder is None:
            kind = {
                LOCKED[0]: self.opinion.bind,
                LOCKED[1]: self.opinion.unbind,
                "mm_pasid_drop": self.opinion.drop,
            }[row["call"]]
            if row["call"] in LOCKED:
                self.holder = task
            running.asks = kind(row["args"])
            self.advance(task, running, None)

    def advance(self, task: int, running: Running, back: Call | None) -> None:
        assert running.asks is not None
        try:
            name, args = running.asks.send(back)  # type: ignore[arg-type]
        except StopIteration as stop:
            running.row["ret"], running.over = stop.value, True
            if self.holder == task:
                self.holder = None
            if running.row["call"] == LOCKED[0] and not str(stop.value).startswith("-"):
                self.held[task].append(stop.value)
            return
        ret = self.answer(name, args)
        if name == "iommu_attach_device_pasid":
            args["handle"] = "bond_failed" if ret else f"bond{self.event()}"
        running.inside = self.enter(task, running.row["n"], name, args)
        running.inside["ret"] = ret

    def answer(self, name: str, args: dict[str, Any]) -> Value:
        failed = self.random.random() < 0.25
        match name:
            case "iommu_alloc_global_pasid":
                free = [n for n in range(1, LIMITS[args["dev"]]) if n not in self.out]
                if not free:
                    return "INVALID"
                self.out.append(free[0])
                return free[0]
            case "iommu_attach_handle_get":
                there = self.slots.get((args["group"], args["pasid"]), "-ENOENT")
                return "-EBUSY" if failed and there == "-ENOENT" else there
            case "iommu_attach_device_pasid":
                return self.random.choice(["-EIO", "-ENOMEM", "-EINVAL"]) if failed else 0
            case "domain_alloc_sva":
                return "-ENOMEM" if failed else f"svadom{self.event()}"
        return None

    def take_effect(self, inside: dict[str, Any]) -> None:
        args, name = inside["args"], inside["call"]
        if name == "iommu_attach_device_pasid" and inside["ret"] == 0:
            self.slots[args["group"], args["pasid"]] = args["handle"]
        elif name == "iommu_detach_device_pasid":
            del self.slots[args["group"], args["pasid"]]
        elif name == "iommu_free_global_pasid":
            self.out.remove(args["pasid"])
