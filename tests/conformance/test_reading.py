"""Trace files: two forms with the same calls, and what is refused."""

import gzip
from pathlib import Path
from typing import Final

import msgspec
import pytest

from clusters.conformance.calls import Call
from clusters.conformance.trace import read_calls
from protocol.errors import UnreadableError
from tests.conformance.traces import DATA, MACHINE, recorded

BOTH: Final = sorted(path.name.removesuffix(".jsonl.gz") for path in DATA.glob("io-*.jsonl.gz"))
ROW: Final = {
    "n": 0, "task": "kt0", "pid": 8, "cpu_in": 0, "cpu_out": 0, "t_invoke_ns": 0, "t_return_ns": 1,
    "seq_invoke": 0, "seq_return": 3, "kind": "api", "parent": None, "call": "ioasid_free",
    "args": {"ioasid": 5}, "ret": None,
}  # fmt: skip
HEAD: Final = "# tracer: nop\n"
ENTER: Final = " kt0-8 [000] ..... 100: ifr_i: (ioasid_free+0x0/0x90) id=5\n"
LEAVE: Final = " kt0-8 [000] ..... 101: ifr_r: (kt_fn+0x10/0x20 <- ioasid_free)\n"
FIND: Final = " kt0-8 [000] ..... 100: ifi_i: (ioasid_find+0x0/0x80) set=0x0 id=5 getter=0x0\n"


def rows(*changes: dict[str, object]) -> str:
    return "\n".join(msgspec.json.encode({**ROW, **change}).decode() for change in changes)


def read(tmp_path: Path, text: str | bytes, names: str | None = "") -> list[Call]:
    path = tmp_path / "x.trace"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if names is not None:
        (tmp_path / "x.map").write_text(names)
    return read_calls(path, MACHINE)


@pytest.mark.parametrize("run", BOTH)
def test_both_forms_of_a_run_have_the_same_calls(run: str) -> None:
    assert read_calls(DATA / f"{run}.jsonl.gz", MACHINE) == recorded(run)


def test_a_plain_file_is_read_as_a_packed_one(tmp_path: Path) -> None:
    plain = gzip.decompress((DATA / "io-t4-small.trace.gz").read_bytes())
    names = (DATA / "io-t4-small.map").read_text()
    assert read(tmp_path, plain, names) == recorded("io-t4-small")


def test_calls_inside_calls_and_the_names_of_address_spaces() -> None:
    calls = recorded("io-sva")
    by_n = {call.n: call for call in calls}
    inner = [by_n[call.parent].call for call in calls if call.parent is not None]
    assert set(inner) == {"iommu_sva_alloc_pasid", "iommu_sva_find"}
    named = {call.args["mm"] for call in calls if "mm" in call.args}
    assert "mm.s0p0" in named


def test_a_call_under_way_at_the_end_has_no_return(tmp_path: Path) -> None:
    (call,) = read(tmp_path, HEAD + ENTER)
    assert (call.seq_invoke, call.seq_return, call.cpu_out, call.ret) == (0, None, None, None)
    assert read(tmp_path, rows({"seq_return": None, "cpu_out": None}))[0].seq_return is None


def test_lines_need_not_be_in_order(tmp_path: Path) -> None:
    inner = {"n": 1, "seq_invoke": 1, "seq_return": 2, "parent": 0, "call": "getter"}
    assert [call.n for call in read(tmp_path, rows(inner, {}))] == [0, 1]


def test_the_idle_tasks_of_two_cpus_are_two(tmp_path: Path) -> None:
    idle = [ENTER, ENTER, LEAVE, LEAVE]
    text = [
        line.replace("kt0-8", "<idle>-0").replace("[000]", f"[00{n % 2}]")
        for n, line in enumerate(idle)
    ]
    calls = read(tmp_path, HEAD + "".join(text))
    assert [(call.task, call.pid, call.parent) for call in calls] == [("<idle>", 0, None)] * 2


def test_what_is_not_known_is_a_call_all_the_same(tmp_path: Path) -> None:
    text = ENTER.replace("ioasid_free", "strange").replace("id=5", "a=1 b=0x10")
    back = LEAVE.replace("ioasid_free", "strange")
    (call,) = read(tmp_path, text + back.rstrip() + " ret=-22\n")
    assert (call.call, call.args, call.ret) == ("strange", {"a": 1, "b": 16}, "-EINVAL")
    (call,) = read(tmp_path, text + back)
    assert call.ret is None
    (call,) = read(tmp_path, rows({"call": "strange", "args": {"a": [1, "b"]}}))
    assert call.args == {"a": "1 b"}


def test_an_address_without_a_name_stands_for_itself(tmp_path: Path) -> None:
    text = (
        FIND.replace("set=0x0", "set=0xabc") + LEAVE.replace("free", "find").rstrip() + " ret=0x9\n"
    )
    (call,) = read(tmp_path, text, "private 0x9 priv\n# a comment\n\n")
    assert (call.args["set"], call.ret) == ("0xabc", "priv")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "x.trace:0: there is nothing in it: no call, no event"),
        ("\n \n", "x.trace:2: there is nothing in it: no call, no event"),
        ("hello\n", "x.trace:1: is neither JSON Lines nor the text of ftrace"),
        (b"\xff\xfe\n", "x.trace:1: is not text: a trace is JSON Lines or the text of ftrace"),
        (b"x" * 70_000, "x.trace:1: the line has more than 65,536 bytes"),
        ("{}\n", "x.trace:1: is not a call: Object missing required field `n`"),
        ("{" * 9000, "x.trace:1: is not a call: JSON is malformed"),
        (rows({}, {}), "x.trace:2: call 0 is there twice"),
        (rows({"seq_return": 0}), "call 0 returns (seq_return) before its entry (seq_invoke)"),
        (rows({}, {"n": 1, "seq_invoke": 3, "seq_return": 4}), "event 3 belongs to two calls"),
        (rows({"parent": 7}), "x.trace:1: call 0 happened in call 7, which is not there"),
        (
            rows({}, {"n": 1, "seq_invoke": 1, "seq_return": 5, "parent": 0}),
            "x.trace:2: call 1 is not inside call 0, its parent",
        ),
        (rows({"pid": -1}), "Expected `int` >= 0 - at `$.pid`"),
        (rows({"ret": 1 << 63}), "Expected `int` <= 4611686018427387904 - at `$.ret`"),
        (rows({"task": "t" * 201}), "Expected `str` of length <= 200 - at `$.task`"),
        (HEAD + "hello\n", "x.trace:2: is not an event of a kprobe in the text of ftrace"),
        (HEAD + "x" * 2001, "x.trace:2: the line has more than 2,000 characters"),
        (HEAD + "CPU:1 [LOST 12 EVENTS]\n", "events were lost: record with a larger buffer"),
        ("# entries-in-buffer/entries-written: 5/9   #P:4\n", "4 events were lost: record with"),
        (HEAD + LEAVE, "x.trace:2: ioasid_free returns in kt0-8: its entry is missing"),
        (
            HEAD + FIND + LEAVE,
            "ioasid_free returns in kt0-8, which is in ioasid_find: its entry is missing",
        ),
        (HEAD + ENTER.replace("id=5", "nr=5"), "ioasid_free has no argument 'id': see the probes"),
        (HEAD + ENTER.replace("id=5", "id=five"), "'id=five' is not an argument like id=5"),
        (
            HEAD + FIND + LEAVE.replace("free", "find"),
            "x.trace:3: the return has no 'ret': see the probes",
        ),
        (HEAD + ENTER.replace("+0x0/", "+0x8/"), "is neither the entry nor the return of a"),
    ],
)  # fmt: skip
def test_err_what_is_no_trace_is_refused_with_its_place(
    tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(UnreadableError) as refused:
        read(tmp_path, text)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (
            None,
            "x.trace: the text of a trace has addresses only: put their names beside it, in x.map",
        ),
        ("set 0x1\n", "x.map:1: a line of a map is: kind, address, name"),
        ("set S1 0x1\n", "x.map:1: 'S1' is not an address"),
        ("set 0x1ffffffffffffffff S1\n", "x.map:1: an address has 64 bits"),
    ],
)
def test_err_a_map_that_is_none(tmp_path: Path, names: str | None, sentence: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        read(tmp_path, HEAD + ENTER, names)
    assert sentence in str(refused.value)


def test_err_a_packed_file_that_is_cut_or_damaged(tmp_path: Path) -> None:
    packed = (DATA / "io-t4-small.trace.gz").read_bytes()
    with pytest.raises(UnreadableError, match=r"x.trace:\d+: the gzip file ends in the middle"):
        read(tmp_path, packed[:-500])
    with pytest.raises(UnreadableError, match="the gzip file is damaged"):
        read(tmp_path, packed[:2] + b"\xff" * 50)
    with pytest.raises(UnreadableError, match="cannot be read: No such file"):
        read_calls(tmp_path / "none", MACHINE)
    with pytest.raises(UnreadableError, match="is a folder, not a trace"):
        read_calls(tmp_path, MACHINE)
