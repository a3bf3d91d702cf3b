"""A window of a trace as an interleaving: one column for each task, time downwards."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, structs

from clusters.conformance.calls import Call, said
from clusters.conformance.operations import Operation

WIDTH: Final = 80
EVENT: Final = 8
"""Characters for the number of the event."""
NARROWEST: Final = 15
"""A column that has fewer shows numbers, and what they stand for is said below."""
NUMBERED: Final = 8
MARK: Final = " <--"
"""What has no place."""
NO_RESULT: Final = (
    "ioasid_free",
    "ioasid_unregister_allocator",
    "iommu_detach_device_pasid",
    "iommu_detach_group_handle",
    "iommu_device_release_dma_owner",
    "iommu_free_global_pasid",
    "device_unplug",
)
SHORT: Final = {
    "iommu_attach_device_pasid": "attach",
    "iommu_replace_device_pasid": "replace",
    "iommu_detach_device_pasid": "detach",
    "iommu_attach_handle_get": "handle_get",
    "iommu_attach_group_handle": "attach_group",
    "iommu_replace_group_handle": "replace_group",
    "iommu_detach_group_handle": "detach_group",
    "iommu_device_claim_dma_owner": "claim",
    "iommu_device_release_dma_owner": "release",
    "iommu_alloc_global_pasid": "alloc_global",
    "iommu_free_global_pasid": "free_global",
    "set_dev_pasid": "set",
    "remove_dev_pasid": "remove",
}
"""Of the calls of the IOMMU core."""
LEFT_OUT: Final = ("group",)
"""What a device says already."""


class Row(Struct, frozen=True):
    """One event: where, in whose column, what is written there."""

    event: int
    task: str
    text: str
    begins: bool = False
    ends: bool = False


def draw(operations: Sequence[Operation], last: Operation, until: int) -> list[str]:
    """Lines of at most 80 characters; the call that has no place is marked."""
    tasks = list(dict.fromkeys(one.call.task for one in operations))
    room = (WIDTH - EVENT) // len(tasks) - 1
    if room >= NARROWEST:
        rows = rows_of(operations, until)
        return table(rows, tasks, min(room, 36), until)
    if room < NUMBERED:
        return listed(operations, last)
    rows = rows_of(operations, until, numbered=True)
    return [*table(rows, tasks, min(room, 12), until), "", *listed(operations, last)]


def rows_of(operations: Iterable[Operation], until: int, *, numbered: bool = False) -> list[Row]:
    """Entries, callbacks and returns, in the order of the trace."""
    rows: list[Row] = []
    for one in operations:
        call = one.call
        words = f"#{call.n}" if numbered else short(call)
        rows.append(Row(call.seq_invoke, call.task, words, begins=True))
        for back in () if numbered else one.callbacks:
            rows.append(Row(back.seq_invoke, call.task, f"> {short(back)}"))
            if back.seq_return is not None:
                rows.append(Row(back.seq_return, call.task, f"< {said(back.ret)}"))
        ret = "done" if call.call in NO_RESULT else f"= {said(call.ret)}"
        if call.seq_return is None:
            rows.append(Row(until + 1, call.task, "(did not return)", ends=True))
        elif call.seq_return > until:
            rows.append(Row(until + 1, call.task, f"({ret} later)", ends=True))
        else:
            rows.append(Row(call.seq_return, call.task, ret, ends=True))
    rows = [row for row in rows if row.event <= until or row.ends]
    rows = [
        structs.replace(row, text=row.text + MARK) if row.event == until else row for row in rows
    ]
    return sorted(rows, key=lambda row: (row.event, row.task))


def table(rows: Sequence[Row], tasks: Sequence[str], width: int, until: int) -> list[str]:
    """The columns; a call that is under way is a line in its column."""
    lines = [_line("event", tasks, width), _line("", ["-" * min(width, 12)] * len(tasks), width)]
    under_way: dict[str, int] = dict.fromkeys(tasks, 0)
    shown = -1
    for row in rows:
        parts = textwrap.wrap(row.text, width) or [""]
        for at, part in enumerate(parts):
            cells = [
                part if task == row.task else ("|" if under_way[task] else "") for task in tasks
            ]
            event = str(row.event) if at == 0 and shown < row.event <= until else ""
            lines.append(_line(event, cells, width))
        shown = row.event
        under_way[row.task] += row.begins - row.ends
    return lines


def _line(event: str, cells: Sequence[str], width: int) -> str:
    text = " ".join(cell[:width].ljust(width) for cell in cells)
    return f"{event:<{EVENT}}{text}".rstrip()


def listed(operations: Iterable[Operation], last: Operation) -> list[str]:
    """A line or two for each call, where there is no room for columns of words."""
    lines: list[str] = []
    for one in operations:
        call = one.call
        ended = "" if call.seq_return is None else f"-{call.seq_return}"
        mark = MARK if one is last else ""
        text = f"#{call.n} {call.task}, {call.seq_invoke}{ended}: {short(call)}"
        text += f" = {said(call.ret)}{mark}"
        lines += textwrap.wrap(text, WIDTH, subsequent_indent="    ")
    return lines


def short(call: Call) -> str:
    """`find(S2, 24)`: what all calls have in common, and what is not there, is left out."""
    name = SHORT.get(call.call, call.call.removeprefix("ioasid_").removesuffix("_allocator"))
    args = call.args
    if "dev" in args:
        args = {key: value for key, value in args.items() if key not in LEFT_OUT}
    if call.call == "ioasid_alloc" or call.call.startswith("custom_alloc_"):
        words = [str(args.get("set")), f"{args['min']}..{args['max']}", str(args.get("private"))]
    else:
        words = [str(value) for value in args.values()]
    return f"{name}({', '.join(word for word in words if word != 'None')})"
