"""A story as a mail has it: one column per actor, time downwards, no line too wide."""

from experiments.harness.domain_words import WORDS, words_of
from experiments.harness.interleaving import MOMENTS_MAX, WIDTH, Moment, interleaved, numbered
from protocol import messages
from protocol.facts import MessageDelivered


def moment(who: str, call: str, *did: str) -> Moment:
    """Somebody's call."""
    return Moment(7, who, call, f"does {call}", did)


def test_each_actor_has_its_column_and_time_goes_down() -> None:
    told = [
        moment("vfio", "ioasid_free(1)", "FREE_PENDING, 2 references"),
        moment("vdcm.dsa0", "ioasid_find_by_spid(1)"),
        moment("vfio", "ioasid_put(1)"),
    ]
    assert interleaved(told, "that is wrong") == [
        "vfio                vdcm.dsa0",
        "----                ---------",
        "ioasid_free(1)",
        "  FREE_PENDING, 2 references",
        "                    ioasid_find_by_spid(1)",
        "ioasid_put(1)",
        "",
        "=> that is wrong",
    ]


def test_no_line_is_wider_than_a_mail_takes_however_many_take_part() -> None:
    for count in range(1, 12):
        told = [
            moment(f"actor.number{k}", f"a_function_with_a_long_name(device{k}, {k})", "did " * 30)
            for k in range(count)
        ]
        lines = interleaved(told, "a long sentence " * 20)
        assert max(map(len, lines)) <= WIDTH
        for one in told:
            assert any(one.who in line for line in lines)


def test_of_a_long_story_the_end_is_drawn_and_the_rest_counted() -> None:
    told = [moment("core", f"call{k}()") for k in range(MOMENTS_MAX + 5)]
    lines = interleaved(told, "wrong")
    assert "[5 earlier steps]" in lines
    assert "call4()" not in lines
    assert "call5()" in lines


def test_the_plain_story_has_a_line_for_each_moment() -> None:
    lines = numbered([moment("vfio", "x()", "a", "b"), moment("kvm", "")], "wrong")
    assert lines == [
        "     7  vfio  does x(): a; b",
        "     7  kvm   does ",
        "              => wrong",
    ]


def test_words_are_of_messages_that_there_are_and_name_their_fields() -> None:
    for name, words in WORDS.items():
        kind = getattr(messages, name)
        detail: dict[str, str | int | bool | None] = dict.fromkeys(kind.__struct_fields__, 1)
        found = words_of(MessageDelivered("vfio", name, "id", detail))
        assert found is not None
        assert "?" not in found.call + found.phrase, name
        assert found.here == words.here


def test_an_answer_is_not_told_and_an_unknown_message_by_its_name() -> None:
    assert words_of(MessageDelivered("core", "FindPasidGot", "id", {})) is None
    unknown = words_of(MessageDelivered("core", "Unheard", "id", {"pasid": 3}))
    assert unknown is not None
    assert unknown.call == "Unheard(3)"
