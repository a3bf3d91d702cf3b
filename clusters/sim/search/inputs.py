"""What each input does, in the terms of a state: parts, items, and what properties are shown.

A `Done` is one case of one input: worked out once, looked up ever after.  Its label says the
choices of a tape that lead to it: the delivery, and what chance answered.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from clusters.sim.search.components import Parts
from clusters.sim.search.frozen import freeze
from clusters.sim.search.handling import Case, Handling, Passage
from clusters.sim.search.inboxes import Inboxes, Item, channel_of, choice_of
from clusters.sim.search.judging import Judging, Shown, mark_of
from clusters.sim.search.space import Label
from clusters.sim.tape import Choice, Draw, Fail
from protocol.facts import OpInvoked
from protocol.names import Name


class Labels:
    """`choices` of each label, and its `channels`: the delivery, whatever chance then says."""

    __slots__ = ("_numbers", "channels", "choices")

    def __init__(self) -> None:
        self.choices: list[tuple[Choice, ...]] = []
        self.channels: list[int] = []
        self._numbers: dict[tuple[Choice, ...], Label] = {}

    def of(self, choices: tuple[Choice, ...]) -> Label:
        """The label of these choices."""
        label = self._numbers.get(choices)
        if label is None:
            first = choices[0]
            label = self._numbers[choices] = len(self.choices)
            self.choices.append(choices)
            self.channels.append(channel_of(first))
        return label


class Done(NamedTuple):
    """One case of one input: the actor after it, what it sent to whom, what is shown to whom.

    `passed` are the fallible steps that failed, or are counted; `begins`: an operation began.
    """

    label: Label
    after: int
    sent: tuple[tuple[int, tuple[int, ...]], ...]
    shown: tuple[int, ...]
    passed: tuple[Passage, ...]
    begins: bool


class Inputs:
    """`done` has what is known by now, by actor and item; `shown` what properties are shown."""

    __slots__ = (
        "_counts", "_handling", "_inboxes", "_index", "_judging", "_names", "_parts",
        "_shown_numbers", "done", "labels", "observers", "shown",
    )  # fmt: skip

    def __init__(
        self,
        parts: Parts,
        inboxes: Inboxes,
        judging: Judging,
        watched: Callable[[Name, str], int],
        counts: Callable[[Name, str], bool],
    ) -> None:
        self._parts = parts
        self._inboxes = inboxes
        self._judging = judging
        self._handling = Handling(parts, watched)
        self._counts = counts
        self._names = inboxes.names
        self._index = {name: at for at, name in enumerate(inboxes.names)}
        self._shown_numbers: dict[bytes, int] = {}
        self.labels = Labels()
        self.done: dict[tuple[int, int], tuple[Done, ...]] = {}
        self.shown: list[Shown] = []
        self.observers: list[tuple[int, ...]] = []
        """Of each that is shown, who wants to see it."""

    def of(self, actor: int, number: int) -> tuple[Done, ...]:
        """All cases of an item that is delivered to an actor in this state."""
        done = self.done.get((actor, number))
        if done is None:
            item = self._inboxes.items[number]
            name, content = self._names[item.receiver], self._parts.content[actor]
            cases = self._handling.cases(name, content, item.message, item.sender)
            done = self.done[actor, number] = tuple(self._made(item, name, one) for one in cases)
        return done

    def actor(self, name: Name, content: bytes) -> int:
        """The part of an actor in a state."""
        return self._parts.number(f"state of {name}", content, ordered=False)

    def show(self, shown: Shown) -> tuple[int, ...]:
        """Its number; nothing if nobody observes any of it."""
        observers = self._judging.observers_of(shown.facts)
        if not observers:
            return ()
        content = freeze(shown)
        number = self._shown_numbers.get(content)
        if number is None:
            number = self._shown_numbers[content] = len(self.shown)
            self.shown.append(shown)
            self.observers.append(observers)
        return (number,)

    def _made(self, item: Item, name: Name, case: Case) -> Done:
        mark = mark_of(case.facts)
        sent: dict[int, list[int]] = {}
        for to, message, timer in case.sent:
            at = self._index[to]
            if message is None:
                made = self._inboxes.timer(at, timer)
            else:
                made = self._inboxes.item(at, name, message, mark)
            sent.setdefault(at, []).append(made)
        cause = item.sender if item.mark else ""
        kind = type(item.message).__name__
        return Done(
            label=self.labels.of(choices_of(item, name, case)),
            after=self.actor(name, case.after),
            sent=tuple((to, tuple(items)) for to, items in sent.items()),
            shown=self.show(Shown(name, kind, mark, cause, item.mark, tuple(case.facts))),
            passed=tuple(
                Passage(name, answer.site, bool(answer.value))
                for answer in case.answers
                if answer.site and (answer.value or self._counts(name, answer.site))
            ),
            begins=any(isinstance(fact, OpInvoked) for fact in case.facts),
        )


def choices_of(item: Item, name: Name, case: Case) -> tuple[Choice, ...]:
    """What a tape says of the case."""
    first = choice_of(item, name)
    answers: Sequence[Choice] = [
        Fail(name, answer.site, bool(answer.value)) if answer.site else Draw(name, answer.value)
        for answer in case.answers
    ]
    return (first, *answers)
