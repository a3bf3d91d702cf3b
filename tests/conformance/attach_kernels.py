"""An IOMMU core in a page: tasks that call it at once, one event after the other.

Whatever it does is right, so whatever it records must be explained.  What a call does is the second
opinion's (`sequential_attach`), when it does it is chance's.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from clusters.conformance.calls import Call
from tests.conformance.sequential_attach import Blocked, Question, Table, Thread

DOMAINS = ("paging0", "paging0", "paging1", "nested0", "nested0", "nopasid0", "blocked0")
DEVICES = ("a0", "a1", "b0", "b1", "b0", "b1", "c0", "c1", "d0", "f0", "n0")


@dataclass
class Running:
    """A call of a task: what is recorded of it, its thread, and the driver's call that is open."""

    row: dict[str, Any]
    thread: Thread
    begun: bool = False
    done: bool = False
    asked: Question | None = None
    back: dict[str, Any] | None = None
    said: Any = field(default=None)


class AttachKernel:
    """Tasks, locks, and chance."""

    def __init__(self, seed: int, tasks: int, kernel: str, mode: str = "") -> None:
        self.random = Random(seed)
        self.mode = mode
        self.kernel = kernel
        self.table = Table(kernel)
        self.running: list[Running | None] = [None] * tasks
        self.rows: list[dict[str, Any]] = []
        self.events = 0
        self.plugged = True
        if mode == "nomem":
            self.table.no_memory = lambda: self.random.random() < 0.2

    def run(self, calls: int) -> list[Call]:
        """What is recorded of so many calls."""
        left = calls
        while left or any(self.running):
            task = self.random.randrange(len(self.running))
            running = self.running[task]
            if running is not None:
                self._go_on(task, running)
            elif left:
                left -= 1
                row = self._row(task, None, *self._request(task))
                self.running[task] = Running(row, self.table.thread(Call(**row)))
        return [Call(**row) for row in self.rows]

    def _row(
        self, task: int, parent: int | None, name: str, args: dict[str, Any]
    ) -> dict[str, Any]:
        self.events += 1
        row = {
            "n": len(self.rows), "task": f"t{task}", "pid": task, "cpu_in": task, "cpu_out": task,
            "seq_invoke": self.events, "seq_return": None, "parent": parent, "call": name,
            "kind": "api" if parent is None else "driver", "args": args, "ret": None,
        }  # fmt: skip
        self.rows.append(row)
        return row

    def _go_on(self, task: int, running: Running) -> None:
        """The next of: it takes effect so far, it asks, it is answered, it returns."""
        if running.back is not None:
            self._close(running.back, running.said)
            running.back = None
        elif running.asked is not None:
            name, dev, pasid, domain, old = running.asked
            args = {"domain": domain, "dev": dev, "pasid": pasid}
            args |= {"old": old} if self.kernel == "7.3" else {}
            running.back = self._row(task, running.row["n"], name, args)
            running.said = self._answer(name, domain, running)
            running.asked = None
        elif running.done:
            self._close(running.row, running.row["ret"])
            self.running[task] = None
        else:
            self._step(running)

    def _step(self, running: Running) -> None:
        try:
            send = running.thread.send(running.said) if running.begun else next(running.thread)
            running.asked, running.begun = send, True
        except StopIteration as stop:
            running.row["ret"], running.done = stop.value, True
        except Blocked:
            running.thread = self.table.thread(Call(**running.row))

    def _answer(self, name: str, domain: str, running: Running) -> Any:  # noqa: ANN401
        """A device that is set back, or blocked, does not refuse."""
        args = running.row["args"]
        if name == "remove_dev_pasid":
            return None
        forward = domain == args["domain"] and "detach" not in running.row["call"]
        may = forward and domain != "blocked0" and self.random.random() < 0.3
        return "-EIO" if may else 0

    def _close(self, row: dict[str, Any], ret: Any) -> None:  # noqa: ANN401
        self.events += 1
        row["seq_return"], row["ret"] = self.events, ret

    def _request(self, task: int) -> tuple[str, dict[str, Any]]:
        random = self.random
        devices: tuple[str, ...] = DEVICES
        if self.mode == "hotplug":
            devices = tuple(dev for dev in DEVICES if dev != "b1")
            if task == 0:
                self.plugged = not self.plugged
                name = "device_plug" if self.plugged else "device_unplug"
                return name, {"n": "3"}
        dev = random.choice(devices)
        pasid, domain = random.choice([0, 1, 1, 2, 2, 3, 9]), random.choice(DOMAINS)
        if dev == "f0":
            domain = random.choice(["foreignB0", "paging0"])
        handle = random.choice([None, f"h{random.randrange(6)}", f"h{random.randrange(6)}"])
        place = {"domain": domain, "dev": dev, "pasid": pasid}
        group = random.choice(["g0", "g2", "g2", "g3", "g4"])
        kinds: list[tuple[str, dict[str, Any]]] = [
            ("iommu_attach_device_pasid", {**place, "handle": handle}),
            ("iommu_attach_device_pasid", {**place, "handle": handle}),
            ("iommu_alloc_global_pasid", {"dev": dev}),
            ("iommu_free_global_pasid", {"pasid": random.randint(1, 4)}),
        ]
        kinds += [
            (
                "iommu_attach_handle_get",
                {"group": group, "pasid": pasid, "type": random.choice(["any", "NESTED"])},
            )
        ] * 3
        if dev != "n0":
            owner = {"dev": dev, "owner": random.choice(["o0", "o1"])}
            kinds += [("iommu_detach_device_pasid", place)] * 2
            kinds += [("iommu_device_claim_dma_owner", owner)]
            kinds += [("iommu_device_release_dma_owner", {"dev": dev})]
        rid = {"domain": random.choice(["paging0", "nested0"]), "group": group}
        named = {**rid, "handle": f"r{task}"}
        kinds += [(f"iommu_{word}_group_handle", named) for word in ("attach", "replace")]
        kinds += [("iommu_detach_group_handle", rid)]
        if self.kernel == "7.3":
            kinds += [("iommu_replace_device_pasid", {**place, "handle": handle})] * 2
        return random.choice(kinds)
