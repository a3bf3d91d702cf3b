from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.sim.tape import (
    PARTS,
    SEED_MAX,
    TAPE_BYTES_MAX,
    Begin,
    Book,
    Choice,
    Deliver,
    Draw,
    Fail,
    Fire,
    Heal,
    Origin,
    Tape,
    known_of,
    read_tape,
    read_token,
    schedule_seed,
    words,
)
from protocol.errors import UnreadableError

CHOICES: tuple[Choice, ...] = (
    Deliver("vfio", "iommu"),
    Fire("vdcm.dsa0", "retry"),
    Begin("crash", "vm1.kvm"),
    Heal("crash", "vm1.kvm"),
    Draw("vm1.guest", 3),
    Fail("core", "core.alloc.memory", failed=True),
)
TAPE = Tape("random", 0x5EED, CHOICES, "00ff")
ORIGIN = Origin("3f2a91c", "0123456789abcdef", "no-dma-after-reclaim", 6)
SEEDS = st.integers(0, SEED_MAX)
TEXTS = st.text(max_size=20)


def test_a_choice_is_said_in_a_few_words() -> None:
    assert [words(choice) for choice in CHOICES] == [
        "vfio -> iommu",
        "timer 'retry' of vdcm.dsa0",
        "crash vm1.kvm",
        "heal crash vm1.kvm",
        "draw 3 for vm1.guest",
        "fail core.alloc.memory of core",
    ]
    assert words(Fail("core", "x", failed=False)) == "pass x of core"


def test_a_file_has_one_choice_on_a_line() -> None:
    head, *lines = TAPE.to_json(ORIGIN).decode().splitlines()
    assert head == (
        '{"git":"3f2a91c","experiment":"0123456789abcdef","property":"no-dma-after-reclaim",'
        '"step":6,"format":1,"strategy":"random","seed":24301,"end":"00ff","choices":['
    )
    assert lines == [
        '["deliver","vfio","iommu"],',
        '["fire","vdcm.dsa0","retry"],',
        '["begin","crash","vm1.kvm"],',
        '["heal","crash","vm1.kvm"],',
        '["draw","vm1.guest",3],',
        '["fail","core","core.alloc.memory",true]',
        "]}",
    ]


@given(
    st.lists(
        st.one_of(
            st.builds(Deliver, TEXTS, TEXTS),
            st.builds(Fire, TEXTS, TEXTS),
            st.builds(Begin, TEXTS, TEXTS),
            st.builds(Heal, TEXTS, TEXTS),
            st.builds(Draw, TEXTS, st.integers(0, 2**63 - 1)),
            st.builds(Fail, TEXTS, TEXTS, st.booleans()),
        )
    ),
    SEEDS,
)
def test_a_file_reads_back_as_it_was(choices: list[Choice], seed: int) -> None:
    tape = Tape("random", seed, tuple(choices))
    assert read_tape(tape.to_json(ORIGIN)) == (tape, ORIGIN)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not a tape: Input data was truncated"),
        (b"\xff{}", "not a tape: "),
        (b"[]", "not a tape: Expected `object`, got `array`"),
        (b"{}", "not a tape: Object missing required field `format`"),
        (b'{"format":2,"new":[]}', "tape format 2, this version reads 1"),
        (b'{"format":1}', "missing required field `strategy`"),
        (b'{"format":1,"strategy":"random","seed":-1}', "`int` >= 0 - at `$.seed`"),
        (
            b'{"format":1,"strategy":"random","seed":18446744073709551616}',
            "the seed 18446744073709551616 does not fit into 64 bits",
        ),
        (b'{"format":1,"strategy":"random","seed":1,"extra":1}', "unknown field `extra`"),
        (
            b'{"format":1,"strategy":"random","seed":1,"choices":[["fly","a","b"]]}',
            "Invalid value 'fly' - at `$.choices[0][0]`",
        ),
        (
            b'{"format":1,"strategy":"random","seed":1,"choices":[["draw","a","b"]]}',
            "Expected `int`, got `str` - at `$.choices[0][2]`",
        ),
        (b'{"format":1,"strategy":"' + b"x" * 300 + b'","seed":1}', "length <= 256"),
        (b'{"format":' + b"[" * 100_000, "not a tape: "),
        (b" " * (TAPE_BYTES_MAX + 1), f"at most {TAPE_BYTES_MAX} are read"),
    ],
)
def test_err_what_is_not_a_tape_is_refused_with_its_place(data: bytes, sentence: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        read_tape(data, "ce-1.json")
    assert str(refused.value).startswith("ce-1.json: ")
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


BARE = Tape("random", 0x5EED)


def test_a_token_is_one_short_word() -> None:
    assert BARE.token() == "aeaaaaaaaaaf53lsmfxgi33nqvna"
    assert read_token(BARE.token()) == BARE
    assert read_token(BARE.token().upper()) == BARE
    assert BARE.token(LONG) == BARE.token()


LONG = Origin("3f2a91c0" * 5, "0123456789abcdef", "no-dma-after-reclaim", 6)
ENDED = msgspec.structs.replace(TAPE, end="00ff00ff" * 4)


def test_the_token_of_a_known_run_remembers_its_origin_and_what_it_did() -> None:
    token = ENDED.token(LONG)
    assert token == "aiaaaaaaaaaf53j7fki4aajdad7qb7yaaadc4jhdgeyyg6hlojqw4zdpnuq5o"
    known = msgspec.structs.replace(
        known_of(CHOICES, len(CHOICES)), origin=Origin("3f2a91c0", "0123")
    )
    assert read_token(token) == Tape("random", 0x5EED, (), "00ff00ff", known)
    assert read_token(token).token() == token
    assert len(token) < 80


@pytest.mark.parametrize("origin", [None, Origin(), Origin("3f2a91c"), Origin("no commit", "??")])
def test_what_a_token_cannot_hold_it_does_not_know(origin: Origin | None) -> None:
    known = read_token(ENDED.token(origin)).known
    assert known is not None
    assert known.origin == Origin()


@given(st.lists(st.sampled_from(CHOICES), max_size=40), st.integers(0, 39))
def test_the_bytes_of_a_run_say_in_which_part_another_choice_was_made(
    choices: list[Choice], place: int
) -> None:
    known = known_of(choices, len(choices))
    assert known == known_of(tuple(choices), len(choices))
    assert known.ends(PARTS - 1) == known.count == len(choices)
    if place >= len(choices):
        return
    other = [*choices[:place], Deliver("x", "y"), *choices[place + 1 :]]
    pairs = zip(known.parts, known_of(other, len(choices)).parts, strict=True)
    differs = [one != its for one, its in pairs]
    for part in range(PARTS):
        if known.ends(part) <= place:
            assert not differs[part]


@given(SEEDS, st.sampled_from(["random", "pct", "delay-bounded-1-2"]), st.booleans())
def test_a_token_reads_back_as_it_was(seed: int, strategy: str, known: bool) -> None:
    tape = Tape(strategy, seed, CHOICES, ENDED.end if known else "")
    read = read_token(tape.token(LONG))
    assert (read.strategy, read.seed, read.choices) == (strategy, seed, ())
    assert (read.known is not None, read.end) == ((True, "00ff00ff") if known else (False, ""))


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("", "an empty schedule"),
        ("latest", "'latest' is not a schedule"),
        ("0189", "'0189' is not a schedule"),
        ("ä", "is not a schedule"),
        ("a" * 161, "161 characters, at most 160 are read"),
        ("amaaaaaaaaaf53lsmfxgi33nqvna", "has format 3, this version reads 1 and 2"),
        ("aiaaaaaaaaaf53lsmfxgi33nqvna", "is not a whole schedule; a letter may be wrong"),
        ("aeaaaaaaaaaf53lsmfxgi33nqvnb", "is not a whole schedule; a letter may be wrong"),
        ("aeaaaaaaaaaf53lsmfxgi33n", "is not a whole schedule"),
    ],
)
def test_err_what_is_not_a_token_is_refused(token: str, sentence: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        read_token(token)
    assert sentence in str(refused.value)


@given(st.integers(0, 60), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_err_a_wrong_letter_in_a_token_is_found_out(place: int, letter: str) -> None:
    token = ENDED.token(LONG)
    wrong = token[:place] + letter + token[place + 1 :]
    if wrong != token:
        with pytest.raises(UnreadableError, match=r"schedule|has format"):
            read_token(wrong)


@given(st.text(max_size=40))
def test_err_any_text_is_a_token_or_refused(text: str) -> None:
    with suppress(UnreadableError):
        assert read_token(text).choices == ()


def test_seeds_of_schedules_stay_the_same_for_ever() -> None:
    assert [schedule_seed(1, index) for index in range(2)] == [
        10451216379200822465,
        13757245211066428519,
    ]
    assert len({schedule_seed(seed, index) for seed in range(50) for index in range(50)}) == 2500
    assert 0 <= schedule_seed(SEED_MAX, 10**9) <= SEED_MAX


def test_a_book_names_its_entries_when_asked() -> None:
    book = Book()
    for choice in (CHOICES[2], CHOICES[4], CHOICES[2]):
        book.entries.append(book.entry(choice))
    book.entries.append(0)
    assert book.entries == [-1, -2, -1, 0]
    assert book.named([CHOICES[0]]) == (CHOICES[2], CHOICES[4], CHOICES[2], CHOICES[0])


def test_a_tape_is_a_frozen_value() -> None:
    assert hash(TAPE) == hash(msgspec.structs.replace(TAPE))
