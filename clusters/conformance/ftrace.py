"""The text of a kernel's trace buffer: kprobe events at entry and return.

An entry names its function, `(ioasid_find+0x0/0x80)`, or +0x4 where functions begin with a mark for
indirect branches; a return has it behind an arrow,
`(kt_threadfn+0x3c8/0x8c0 <- ioasid_find)`.  So the names of the probes do not matter, but those of
their arguments do: docs/record-a-kernel.md.  The order of the lines is the order of events.
"""

import errno
import re
from typing import Final, TypeAlias

from msgspec import Struct

from clusters.conformance.calls import ARGS_MAX, CALLS_MAX, TEXT_MAX, Call, Value
from clusters.conformance.forms import (
    API,
    DOMAIN_KIND,
    DOMAIN_KINDS,
    NUMBER,
    WORD,
    Form,
    forms_for,
    group_of,
)
from clusters.conformance.machine import TraceMachine
from clusters.conformance.names import Names
from clusters.conformance.reading import Lines

LINE: Final = re.compile(
    r"\s*(?P<task>\S.*?)-(?P<pid>\d{1,9})\s+(?:\(\s*[-\d]+\)\s+)?\[(?P<cpu>\d{1,6})\]\s+"
    r"(?:\S{1,10}\s+)?[\d.]{1,40}:\s+(?P<probe>[\w.]{1,100}):\s+"
    r"\((?P<where>[^()]{1,300})\)(?P<rest>.*)"
)
ENTRY: Final = re.compile(r"([\w.]{1,150})\+0x[04](?:/0x[0-9a-f]+)?(?: \[\w+\])?")
RETURN: Final = re.compile(r".{1,200} <- ([\w.]{1,150})(?: \[\w+\])?")
VALUE: Final = re.compile(r"([A-Za-z_]\w{0,60})=(0x[0-9a-fA-F]{1,16}|-?\d{1,20})")
WRITTEN: Final = re.compile(r"#\s*entries-in-buffer/entries-written:\s*(\d+)/(\d+)")
LOST: Final = re.compile(r"CPU:\d+ \[LOST (\d+ )?EVENTS\]")
PROCESS: Final = re.compile(r"(s\d+p\d+)t\d+")

EVENT_MAX: Final = 2000
U64: Final = 1 << 64
ERRNO_MAX: Final = 4095
KERNEL_NAMES: Final = {95: "EOPNOTSUPP", 524: "ENOTSUPP"}
"""Where Python says it otherwise."""
INVALID_IOASID: Final = (1 << 32) - 1


End: TypeAlias = tuple[int | None, int | None, Value]
"""CPU, event and result of a return; without the first two there was none."""


class Open(Struct):
    """A call that has not returned."""

    n: int
    function: str
    form: Form
    cpu: int
    seq: int
    parent: int | None
    args: dict[str, Value]


def read(lines: Lines, names: Names, machine: TraceMachine) -> list[Call]:
    """All calls of the text, by entry; those that did not return are at their places, too."""
    reader = _Reader(lines, names, machine)
    for line in lines:
        reader.line(line.rstrip("\n"))
    return reader.all()


class _Reader:
    def __init__(self, lines: Lines, names: Names, machine: TraceMachine) -> None:
        self._lines = lines
        self._names = names
        self._forms = forms_for(machine)
        self._groups = group_of(machine)
        self._open: dict[tuple[int, int], list[Open]] = {}
        self._tasks: dict[tuple[int, int], str] = {}
        self._calls: dict[int, Call] = {}
        self._seq = 0
        self._begun = 0

    def line(self, text: str) -> None:
        """One line: a comment, or an event."""
        if not text.strip():
            return
        if text.lstrip().startswith("#"):
            self._comment(text)
            return
        if len(text) > EVENT_MAX:
            raise self._lines.refuse(f"the line has more than {EVENT_MAX:,} characters")
        if LOST.search(text):
            raise self._lines.refuse("events were lost: record with a larger buffer")
        found = LINE.fullmatch(text)
        if found is None:
            raise self._lines.refuse("is not an event of a kprobe in the text of ftrace")
        entry, back = ENTRY.fullmatch(found["where"]), RETURN.fullmatch(found["where"])
        if entry is None and back is None:
            raise self._lines.refuse("is neither the entry nor the return of a function")
        if len(found["task"]) > TEXT_MAX or len(self._calls) > CALLS_MAX:
            raise self._lines.refuse(f"more than {CALLS_MAX:,} calls, or a very long name")
        pid, cpu = int(found["pid"]), int(found["cpu"])
        who = (pid, cpu if pid == 0 else -1)  # Every CPU has an idle task, and all are called 0.
        self._tasks[who] = found["task"]
        values = self._values(found["rest"])
        if entry is not None:
            self._enter(who, cpu, entry[1], values)
        elif back is not None:
            self._leave(who, cpu, back[1], values)
        self._seq += 1

    def _comment(self, text: str) -> None:
        found = WRITTEN.match(text)
        if found is not None and found[1] != found[2]:
            raise self._lines.refuse(
                f"{int(found[2]) - int(found[1]):,} events were lost: record with a larger buffer"
            )

    def _values(self, rest: str) -> dict[str, int]:
        values: dict[str, int] = {}
        for word in rest.split():
            found = VALUE.fullmatch(word)
            if found is None or len(values) >= ARGS_MAX:
                raise self._lines.refuse(f"'{word[:60]}' is not an argument like id=5")
            values[found[1]] = int(found[2], 0)
        return values

    def _enter(self, who: tuple[int, int], cpu: int, function: str, values: dict[str, int]) -> None:
        form = self._forms.get(function)
        if form is None:
            form = Form(function, API, {name: (name, NUMBER) for name in values}, "unknown")
        process = PROCESS.fullmatch(self._tasks[who])
        if form.name == "iommu_sva_alloc_pasid" and process and "mm" in values:
            self._names.call_it("private", values["mm"], f"mm.{process[1]}")
        args: dict[str, Value] = {}
        for name, (shown, kind) in form.args.items():
            if name not in values and name in form.optional:
                continue
            if name not in values:
                raise self._lines.refuse(f"{function} has no argument '{name}': see the probes")
            args[shown] = self._argument(kind, values[name])
            if kind == "dev" and (group := self._groups.get(str(args[shown]))):
                args["group"] = group
        stack = self._open.setdefault(who, [])
        parent = stack[-1].n if stack else None
        stack.append(Open(self._begun, function, form, cpu, self._seq, parent, args))
        self._begun += 1

    def _argument(self, kind: str, value: int) -> Value:
        if kind == NUMBER:
            return value
        if kind == WORD:
            return str(value)
        if kind == DOMAIN_KIND:
            return DOMAIN_KINDS.get(value, str(value))
        return self._names.name(kind, value % U64)

    def _leave(self, who: tuple[int, int], cpu: int, function: str, values: dict[str, int]) -> None:
        stack = self._open.get(who, [])
        if not stack or stack[-1].function != function:
            inside = f", which is in {stack[-1].function}" if stack else ""
            raise self._lines.refuse(
                f"{function} returns in {self._tasks[who]}-{who[0]}{inside}: its entry is missing"
            )
        one = stack.pop()
        self._done(who, one, (cpu, self._seq, self._result(one.form.ret, values.get("ret"))))

    def _done(
        self, who: tuple[int, int], one: Open, end: tuple[int | None, int | None, Value]
    ) -> None:
        self._calls[one.n] = Call(
            n=one.n,
            task=self._tasks[who],
            pid=who[0],
            cpu_in=one.cpu,
            cpu_out=end[0],
            seq_invoke=one.seq,
            seq_return=end[1],
            kind=one.form.kind,
            parent=one.parent,
            call=one.form.name,
            args=one.args,
            ret=end[2],
        )

    def _result(self, kind: str, value: int | None) -> Value:
        """A result as the JSON Lines have it."""
        if kind == "nothing" or (kind == "unknown" and value is None):
            return None
        if value is None:
            raise self._lines.refuse("the return has no 'ret': see the probes")
        if kind == "bool":
            return bool(value)
        if kind == "ioasid":
            return "INVALID" if value == INVALID_IOASID else value
        if kind in ("errno", "unknown"):
            return spelled(value) if -ERRNO_MAX <= value < 0 else value
        address = value % U64
        if address >= U64 - ERRNO_MAX:
            return spelled(address - U64)
        return self._names.name(kind, address)

    def all(self) -> list[Call]:
        """The calls by entry, with those that were under way when the recording ended."""
        for who, stack in self._open.items():
            for one in stack:
                self._done(who, one, (None, None, None))
        return [self._calls[n] for n in sorted(self._calls)]


def spelled(value: int) -> str:
    """-2 is -ENOENT."""
    return f"-{KERNEL_NAMES.get(-value) or errno.errorcode.get(-value, str(-value))}"
