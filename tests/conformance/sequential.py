"""A second opinion on a witness order: the allocator as one would write it down in a hurry.

It shares nothing with the actor or with the search.  A call takes effect in its last step, a find
in its first (its getter is not under the lock).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from clusters.conformance.calls import Call, Value

DATA: Final = {"C0a": ("C0", "priv0"), "C0b": ("C0", "priv1"), "C1": ("C1", "priv2")}
NEVER: Final = 1 << 60
ASKED_OTHERWISE: Final = "another question was asked outwards"
Out: TypeAlias = dict[int, list[Value]]
"""The numbers that are out, each with its set and its data."""
Entries: TypeAlias = list[tuple[str, list[str]]]
"""The custom allocators: each entry's first name, and all that share it."""


def explains(calls: Sequence[Call], order: Iterable[tuple[int, int]]) -> bool:
    """Whether the order is one of all finished calls, within their intervals, and right."""
    return opinion(calls)(order)


def opinion(calls: Sequence[Call]) -> Callable[[Iterable[tuple[int, int]]], bool]:
    """The same, to be asked of many orders."""
    inside: dict[int, list[Call]] = {call.n: [] for call in calls if call.parent is None}
    for call in calls:
        if call.parent is not None:
            inside[call.parent].append(call)
    by_n = {call.n: call for call in calls}

    def explained(order: Iterable[tuple[int, int]]) -> bool:
        at = dict.fromkeys(inside, 0)
        now, holder = -NEVER, None
        out: Out = {}
        entries: Entries = []
        for n, step in order:
            call, backs = by_n[n], inside[n]
            begin = call.seq_invoke if step == 0 else backs[step - 1].seq_return
            end = call.seq_return if step == len(backs) else backs[step].seq_invoke
            now = max(now, NEVER if begin is None else begin)
            if at[n] != step or now >= (NEVER if end is None else end):
                return False
            at[n] += 1
            find = call.call == "ioasid_find"
            if not find:
                if holder not in (None, n):
                    return False
                holder = n if step < len(backs) else None
            if step == (0 if find else len(backs)):
                ret = answer(call, backs, out, entries)
                if ret == ASKED_OTHERWISE:
                    return False
                other = ret != call.ret or type(ret) is not type(call.ret)
                if call.seq_return is not None and other:
                    return False
        return all(at[n] == len(backs) + 1 for n, backs in inside.items() if by_n[n].seq_return)

    return explained


def answer(call: Call, backs: list[Call], out: Out, entries: Entries) -> Value:
    """What the call returns."""
    args: Any = call.args
    number = args.get("ioasid")
    if [(one.call, one.args) for one in backs] != asked(call, backs, out, entries):
        return ASKED_OTHERWISE
    match call.call:
        case "ioasid_alloc":
            return alloc(args, [one.ret for one in backs], out, custom=bool(entries))
        case "ioasid_free":
            out.pop(number, None)
            return None
        case "ioasid_set_data":
            if number not in out:
                return "-ENOENT"
            out[number][1] = args["private"]
            return 0
        case "ioasid_find":
            if number not in out:
                return "-ENOENT"
            if args["set"] not in (None, out[number][0]):
                return "-EACCES"
            return out[number][1] if not backs or backs[0].ret else None
    return registry(call, out, entries)


def asked(
    call: Call, backs: list[Call], out: Out, entries: Entries
) -> list[tuple[str, dict[str, Value]]]:
    """What the call must have asked: a getter, or the helpers of the active entry.

    A helper's number that is out already goes back to it.
    """
    args, number = call.args, call.args.get("ioasid")
    if call.call == "ioasid_find" and args["getter"] and number in out:
        fits = args["set"] in (None, out[number][0])
        return [("getter", {"private": out[number][1]})] if fits else []
    if not entries or call.call not in ("ioasid_alloc", "ioasid_free"):
        return []
    helpers, data = DATA[entries[0][0]]
    if call.call == "ioasid_free":
        free: dict[str, Value] = {"ioasid": number, "private": data}
        return [(f"custom_free_{helpers}", free)] if number in out else []
    wanted = (
        f"custom_alloc_{helpers}",
        {"min": args["min"], "max": args["max"], "private": data},
    )
    got: Any = backs[0].ret if backs else None
    back: dict[str, Value] = {"ioasid": got, "private": data}
    return [wanted, (f"custom_free_{helpers}", back)] if got in out else [wanted]


def alloc(args: Any, got: list[Value], out: Out, *, custom: bool) -> Value:  # noqa: ANN401
    """The helper's number, or the lowest that is free."""
    fitting: Iterable[Any] = got[:1] if custom else range(args["min"], args["max"] + 1)
    free = next((one for one in fitting if one not in out and isinstance(one, int)), None)
    if free is None:
        return "INVALID"
    out[free] = [args["set"], args["private"]]
    return int(free)


def registry(call: Call, out: Out, entries: Entries) -> Value:
    """Custom allocators come and go; each entry has its first name and all that share it."""
    name = str(call.args["allocator"])
    same = [one for one in entries if DATA[one[0]][0] == DATA[name][0]]
    if call.call == "ioasid_register_allocator":
        if not entries and out:
            return "-EAGAIN"
        if any(one[0] == name for one in entries):
            return "-EEXIST"
        if same:
            same[0][1].append(name)
        else:
            entries.append((name, [name]))
        return 0
    if same and len(same[0][1]) > 1:
        if name in same[0][1]:
            same[0][1].remove(name)
    elif same:
        if same[0] is entries[0]:
            out.clear()
        entries.remove(same[0])
    return None
