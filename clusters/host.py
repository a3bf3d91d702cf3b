"""One actor at work: it is handed its inputs one by one, and what leaves it is kept beside it.

A `Host` is pure.  The simulator, a live host and a re-execution drive the same class, and so get
the same effects, facts, digests and stamps from the same inputs.  Nothing is stamped or digested
before somebody asks: a schedule of the simulator makes a hundred thousand inputs a second.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from hashlib import blake2b
from typing import Final, TypeAlias, cast

import msgspec

from clusters.cluster import Actor
from clusters.moments import PAST_MAX, Moment, let_go, stamp_of
from protocol.effects import CALM, Chance, Out
from protocol.errors import DivergedError
from protocol.facts import Event, Fact, SiteFailed
from protocol.facts.world import MessageDelivered, MessageSent, Scalar
from protocol.history import Record, Stamp
from protocol.messages import AnyMessage
from protocol.names import Name

JOURNAL_MAX: Final = 4096
"""Inputs that a host keeps in memory before a snapshot stands for them."""
DIGEST_BYTES: Final = 16

_encode: Final = msgspec.msgpack.Encoder().encode
_encode_json: Final = msgspec.json.Encoder().encode


def whole(record: Record) -> Record:
    """The record as a history keeps it: one from `Host.record` has yet to make its stamp."""
    if isinstance(record.stamp, Moment):
        return Record(stamp_of(record.stamp), record.fact)
    return record


class Answers:
    """Chance that answers what it answered before: a journal's answers, in order."""

    def __init__(self, answers: Sequence[int] = ()) -> None:
        self.load(answers)

    def load(self, answers: Sequence[int]) -> None:
        """The answers of the next input."""
        self._left = list(reversed(answers))

    def fails(self, actor: Name, site: str) -> bool:
        return self._next(f"whether {site} fails", actor, 2) == 1

    def draw(self, actor: Name, bound: int) -> int:
        return self._next(f"for a number below {bound}", actor, bound)

    def finish(self) -> None:
        """Every answer must have been asked for."""
        if self._left:
            raise DivergedError(f"{len(self._left)} journalled answers were not asked for")

    def _next(self, question: str, actor: Name, bound: int) -> int:
        if not self._left:
            raise DivergedError(f"{actor} asks {question}: no answer to that was journalled")
        answer = self._left.pop()
        if not 0 <= answer < bound:
            raise DivergedError(f"{actor} asks {question}: the journalled answer is {answer}")
        return answer


class Noted:
    """Chance whose failed steps are in the history: each becomes one of the actor's facts."""

    __slots__ = ("chance", "facts")

    def __init__(self, chance: Chance, facts: list[Fact]) -> None:
        self.chance = chance
        self.facts = facts

    def fails(self, actor: Name, site: str) -> bool:
        failed = self.chance.fails(actor, site)
        if failed:
            self.facts.append(SiteFailed(site))
        return failed

    def draw(self, actor: Name, bound: int) -> int:
        return self.chance.draw(actor, bound)


Kept: TypeAlias = tuple[AnyMessage, Name, tuple[int, ...]]
"""An input as a host keeps it: the message, who sent it, what chance said."""


class Host:
    """Runs one actor.

    After `take`, `out` holds what the input did, until the next one: its lists are used again.  A
    site that fails becomes a fact, `SiteFailed`, among the actor's own.  Without `stamped` inputs
    have no moment: nobody will ask when and why.
    """

    __slots__ = (
        "_handle", "_journal", "_noted", "_snapshot",
        "actor", "epoch", "moment", "n", "name", "out", "stamped",
    )  # fmt: skip

    def __init__(self, name: Name, actor: Actor, chance: Chance = CALM, epoch: int = 0) -> None:
        self.name = name
        self.epoch = epoch
        self.n = 0
        self.stamped = True
        self.moment: Moment | None = None
        self.out = out = Out(name)
        self._noted = out.chance = Noted(chance, out.facts)
        self._journal: list[Kept] | None = None
        self._snapshot = b""
        self._put(actor)

    def _put(self, actor: Actor) -> None:
        self.actor = actor
        self._handle = cast("Callable[[AnyMessage, Name, Out], None]", actor.handle)

    def take(
        self,
        message: AnyMessage,
        sender: Name,
        origin: Moment | None = None,
        step: int = 0,
        ts_ns: int = 0,
    ) -> Out:
        """The next input.  `origin` is the input that sent it; None: the world did."""
        self.n = n = self.n + 1
        if not self.stamped:
            pass
        elif origin is None:
            self.moment = Moment(
                self.name, n, step, type(message), None, self.moment, self.epoch, ts_ns
            )
        else:
            self.moment = moment = Moment(
                self.name, n, step, type(message), origin, self.moment, self.epoch, ts_ns,
                origin.actor, origin.n,
            )  # fmt: skip
            if not n % PAST_MAX:
                let_go(moment)
        out = self.out
        if out.effects:
            out.effects.clear()
        if out.facts:
            out.facts.clear()
        if out.answers:
            out.answers.clear()
        self._handle(message, sender, out)
        if self._journal is not None:
            self._keep(message, sender)
        return out

    @property
    def chance(self) -> Chance:
        """What answers the actor."""
        return self._noted.chance

    @chance.setter
    def chance(self, chance: Chance) -> None:
        self._noted.chance = chance

    # What is only made when asked for.

    @property
    def stamp(self) -> Stamp:
        """Of the last input, for properties: it makes its clock when that is first read."""
        return self.moment  # type: ignore[return-value]

    def record(self, fact: Event) -> Record:
        """A fact of the last input, for properties."""
        return Record(self.stamp, fact)

    def digest(self) -> bytes:
        """Of the last input's effects and facts, for a comparison with another execution."""
        seen = blake2b(_encode(self.out.effects), digest_size=DIGEST_BYTES)
        seen.update(_encode(self.out.facts))
        return seen.digest()

    def state_hash(self) -> bytes:
        """Of the actor's whole state."""
        return blake2b(self.snapshot(), digest_size=DIGEST_BYTES).digest()

    # Snapshots, and coming back.

    def snapshot(self) -> bytes:
        """The actor's whole state."""
        return _encode(self.actor)

    def restore(self, snapshot: bytes, n: int) -> None:
        """Go on from a snapshot that was made after input `n`."""
        self._put(msgspec.msgpack.decode(snapshot, type=type(self.actor)))
        self.n = n

    def keep_journal(self) -> None:
        """From here on keep what `recover` needs."""
        self._snapshot = self.snapshot()
        self._journal = []

    def recover(self) -> int:
        """The actor anew, from its last snapshot and its journal; how many inputs it went through.

        Its state must be what it was, and is the next snapshot; what it sent and said then is
        already out.
        """
        assert self._journal is not None, f"{self.name} keeps no journal"
        lived = self.snapshot()
        answers = Answers()
        fresh = Host(self.name, self.actor, answers, self.epoch)
        fresh.restore(self._snapshot, self.n - len(self._journal))
        for message, sender, said in self._journal:
            answers.load(said)
            fresh.take(message, sender)
            answers.finish()
        if fresh.snapshot() != lived:
            raise DivergedError(
                f"{self.name} did not come back as it was: {len(self._journal)} inputs from its"
                " journal gave it another state; usual causes: a set decided an order, a handler"
                " read a clock or chance, state that is not in its fields"
            )
        self._put(fresh.actor)
        self._snapshot = lived
        self._journal = []
        return fresh.n

    def _keep(self, message: AnyMessage, sender: Name) -> None:
        assert self._journal is not None
        self._journal.append((message, sender, tuple(self.out.answers)))
        if len(self._journal) >= JOURNAL_MAX:
            self.keep_journal()


# --- Messages in a history ------------------------------------------------------------------------


def message_id(sender: Name, n: int, k: int) -> str:
    """What a history calls the k-th effect of the sender's input n; "" for a timer."""
    return f"{sender}:{n}.{k}" if n else ""


def sent_fact(to: Name, message: AnyMessage, its_id: str) -> MessageSent:
    """The sender's record of a message."""
    return MessageSent(to, type(message).__name__, its_id, detail_of(message))


def delivered_fact(sender: Name, message: AnyMessage, its_id: str) -> MessageDelivered:
    """The receiver's."""
    return MessageDelivered(sender, type(message).__name__, its_id, detail_of(message))


def detail_of(message: AnyMessage) -> dict[str, Scalar]:
    """A message's fields, one level deep; what is deeper stands there as JSON text."""
    detail: dict[str, Scalar] = {}
    for key in message.__struct_fields__:
        value = getattr(message, key)
        if isinstance(value, Enum):
            value = value.value
        if value is None or isinstance(value, str | int):
            detail[key] = value
        else:
            detail[key] = _encode_json(value).decode()
    return detail
