"""A kernel in a page: tasks that call the allocator at once, one event after the other.

Whatever it does is right, so whatever it records must be explained.  What a call does is the second
opinion's (`sequential`), when it does it is chance's.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, TypeAlias

from clusters.conformance.calls import Call
from tests.conformance.sequential import DATA, Entries, Out, answer

LAST: Final = 6
"""Numbers in use: few, so that calls get in one another's way."""


Args: TypeAlias = dict[str, Any]


@dataclass
class Running:
    """A call of a task: what is recorded of it, and what it does next."""

    row: dict[str, Any]
    stage: str = "begin"
    backs: list[dict[str, Any]] = field(default_factory=list)


class Kernel:
    """Tasks, one lock, and chance."""

    def __init__(self, seed: int, tasks: int, *, custom: bool) -> None:
        self.random = Random(seed)
        self.custom = custom
        self.running: list[Running | None] = [None] * tasks
        self.rows: list[dict[str, Any]] = []
        self.events = 0
        self.holder: int | None = None
        self.out: Out = {}
        self.entries: Entries = []

    def run(self, calls: int) -> list[Call]:
        """What is recorded of so many calls."""
        left = calls
        while left or any(self.running):
            task = self.random.randrange(len(self.running))
            running = self.running[task]
            if running is not None:
                getattr(self, f"_{running.stage}")(task, running)
            elif left:
                left -= 1
                self.running[task] = Running(self._row(task, None, *self._request()))
        return [Call(**row) for row in self.rows]

    def _row(
        self, task: int, parent: int | None, name: str, args: dict[str, Any]
    ) -> dict[str, Any]:
        row = {
            "n": len(self.rows), "task": f"t{task}", "pid": task, "cpu_in": task, "cpu_out": task,
            "seq_invoke": self._event(), "seq_return": None, "parent": parent, "call": name,
            "kind": "api" if parent is None else "driver", "args": args, "ret": None,
        }  # fmt: skip
        self.rows.append(row)
        return row

    def _event(self) -> int:
        self.events += 1
        return self.events

    def _request(self) -> tuple[str, dict[str, Any]]:
        random = self.random
        number, some_set = random.randint(1, LAST), random.choice(["S0", "S1"])
        low = random.choice([1, 1, number])
        kinds: list[tuple[str, dict[str, Any]]] = [
            ("alloc", {"set": some_set, "min": low, "max": LAST, "private": random.choice("ab")}),
            ("free", {"ioasid": number}),
            ("find", {"set": random.choice([None, some_set]), "ioasid": number, "getter": None}),
            ("find", {"set": None, "ioasid": number, "getter": "getter"}),
            ("set_data", {"ioasid": number, "private": random.choice("abc")}),
        ]
        if self.custom:
            name = random.choice([*DATA])
            kinds += [(f"{word}register_allocator", {"allocator": name}) for word in ("", "un")]
        name, args = random.choice(kinds)
        return f"ioasid_{name}", args

    def _begin(self, task: int, running: Running) -> None:
        row, args = running.row, running.row["args"]
        if row["call"] == "ioasid_find":
            self._look_up(task, running)
        elif self.holder is None:
            number = args.get("ioasid")
            asks = row["call"] == "ioasid_alloc" or (row["call"], number in self.out) == (
                "ioasid_free",
                True,
            )
            if self.entries and asks:
                self.holder = task
                self._ask(task, running, "free" if number else "alloc", number)
            else:
                self._take_effect(running)

    def _look_up(self, task: int, running: Running) -> None:
        row, args = running.row, running.row["args"]
        plain = answer(Call(**{**row, "args": {**args, "getter": None}}), [], self.out, [])
        row["ret"] = plain
        refused = plain in ("-ENOENT", "-EACCES")
        running.stage = "end" if refused or args["getter"] is None else "getter"
        if running.stage == "getter":
            back = self._row(task, row["n"], "getter", {"private": plain})
            running.backs.append(back)

    def _getter(self, _task: int, running: Running) -> None:
        back = running.backs[0]
        back["seq_return"], back["ret"] = self._event(), self.random.random() < 0.7
        running.row["ret"] = running.row["ret"] if back["ret"] else None
        running.stage = "end"

    def _ask(self, task: int, running: Running, what: str, number: int | None) -> None:
        helpers, data = DATA[self.entries[0][0]]
        args = running.row["args"]
        given = {"ioasid": number} if what == "free" else {"min": args["min"], "max": args["max"]}
        name = f"custom_{what}_{helpers}"
        running.backs.append(self._row(task, running.row["n"], name, {**given, "private": data}))
        running.stage = "helper"

    def _helper(self, task: int, running: Running) -> None:
        back = running.backs[-1]
        back["seq_return"] = self._event()
        if back["call"].startswith("custom_alloc_"):
            back["ret"] = self.random.choice([*range(1, LAST + 1), "INVALID"])
            if back["ret"] in self.out:
                self._ask(task, running, "free", back["ret"])
                return
        self.holder = None
        self._take_effect(running)

    def _take_effect(self, running: Running) -> None:
        backs = [Call(**back) for back in running.backs]
        running.row["ret"] = answer(Call(**running.row), backs, self.out, self.entries)
        running.stage = "end"

    def _end(self, task: int, running: Running) -> None:
        running.row["seq_return"] = self._event()
        self.running[task] = None
