"""What a property is, and the memory that several of them share (§6).

A property is handed records and says in one sentence what went wrong, or what happened.  It reads
facts only, never an actor, so that one property judges a simulated run, a run on a cluster and a
stored history alike.  Of records that are not ordered by happens-before it may not rely on the
order; where a rule wants an order, no order is a violation (§6.2).

A simulated delivery is shown to three properties or so, a hundred thousand times a second.  So
`observe` asks `type(fact) is`, what comes often first (a `match` on the class of a `Struct` that
does not fit costs ten times as much), and makes no words before something is wrong.
"""

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import ClassVar, Protocol, TypeAlias

from msgspec import Struct

from protocol.facts import (
    Event,
    MmPasidAssigned,
    PasidAllocated,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
)
from protocol.facts.iommu_core import GlobalPasidFreed
from protocol.history import Record, Stamp
from protocol.machine import IOMMUFD, Machine
from protocol.names import Incarnation, Name, Pasid


class Kind(Enum):
    """How a property is judged.

    ALWAYS: by what `observe` says.  EVENTUALLY: by `unmet` when nothing is left to deliver, and by
    `observe` where it can tell earlier.  SOMETIMES: it must have happened once; never is unknown.
    """

    ALWAYS = "always"
    EVENTUALLY = "eventually"
    SOMETIMES = "sometimes"


class Property(Protocol):
    """One rule, judged over one history; the first line of its docstring says the rule.

    `name` is kebab-case English, `invariant` the rule's number ("" for a witness), `observes` the
    types of fact that `observe` is handed, exactly.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    invariant: ClassVar[str]
    source: ClassVar[str]
    observes: ClassVar[tuple[type[Event], ...]]

    def __init__(self, machine: Machine) -> None:
        """Nothing has been seen yet."""

    def observe(self, record: Record) -> str | None:
        """What went wrong (SOMETIMES: what happened) in one sentence, or None."""

    def unmet(self) -> list["Owed"]:
        """What is still owed; asked at the end."""


# --- Words ----------------------------------------------------------------------------------------


def named(pasid: Pasid, incarnation: Incarnation) -> str:
    """A life of a PASID number, in a sentence."""
    return f"PASID {pasid} (life {incarnation})"


def when(stamp: Stamp) -> str:
    """A place in the history that can be found again, in both worlds."""
    return f"step {stamp.step}" if stamp.step else f"input {stamp.n} of {stamp.actor}"


# --- What is owed at the end ----------------------------------------------------------------------

Since: TypeAlias = tuple[int, Name, int]
"""A place in the history: its step (live: 0), and which actor's how-manieth input that was."""


def since(stamp: Stamp) -> Since:
    """The place of a record, to be kept."""
    return (stamp.step, stamp.actor, stamp.n)


class End(Struct, frozen=True):
    """Where a history ends: its step, the last input of each actor (live), and who is frozen.

    Frozen is who is crashed or paused at a quiet end and will not be healed (`[finally] heal`).
    """

    step: int = 0
    inputs: Mapping[Name, int] = {}
    frozen: Mapping[Name, None] = {}


class Owed(Struct, frozen=True):
    """An obligation that is not met: what, since when, and who would have to act first.

    `by` are actors, or holders `actor:reason`.  Nobody was told of a frozen actor, as they are of a
    lost one, so it is excused for what it owes itself, and it excuses nobody else: whoever waits
    for it owes none the less.  So an obligation is excused if all of `by` are frozen; if the thing
    has to go `through` all of them, if one is.
    """

    what: str
    since: Since
    by: tuple[str, ...] = ()
    how: str = "owed by"
    through: bool = False

    def excused(self, end: End) -> bool:
        """Whether only the frozen could have met it."""
        found = [actor_of(one) in end.frozen for one in self.by]
        return any(found) if self.through else bool(found) and all(found)

    def plain(self) -> str:
        """What, and its owner: the same sentence for as long as it is owed."""
        return f"{self.what}; {self.how} {', '.join(self.by) or 'nobody'}"

    def said(self, end: End) -> str:
        """What, its age, and its owner."""
        owners = [f"{one} (frozen)" if actor_of(one) in end.frozen else one for one in self.by]
        said = f"{self.what} {_age(self.since, end)}; {self.how} {', '.join(owners) or 'nobody'}"
        others = [one for one in end.frozen if one not in map(actor_of, self.by)]
        return f"{said}; frozen: {', '.join(others)}" if others else said


def _age(since: Since, end: End) -> str:
    """In steps; in a live history, which has none, in inputs of the actor that saw it begin."""
    step, actor, n = since
    if end.step:
        age = end.step - step
        return f"for {age:,} step{'s' * (age != 1)}, since step {step:,}"
    age = end.inputs.get(actor, n) - n
    return f"for {age:,} input{'s' * (age != 1)} of {actor}, since its input {n:,}"


# --- Patterns -------------------------------------------------------------------------------------

Thing: TypeAlias = tuple[str | int, ...]
"""A pattern and what fills it, as `("the entry of {} in {}", "dsa0", "dmar0")`; see `said`."""


def said(thing: Thing) -> str:
    """The words for a thing."""
    return str(thing[0]).format(*thing[1:])


# --- "X before reclaim" ---------------------------------------------------------------------------


class BeforeReclaim:
    """What must be over, and known to the core to be over, when a PASID is reclaimed (§6.2).

    Kept by number: what is open at a reclaim belongs to the life that ends there, because each
    reclaim empties its number, and what a life opens after its reclaim is refused at once.  What an
    actor that was lost for good had open is over with it.
    """

    __slots__ = ("chosen", "ended", "gone", "open", "over")

    def __init__(self, machine: Machine | None = None) -> None:
        self.chosen = machine is not None and machine.stack == IOMMUFD
        """Whoever attaches may choose a number: what has no life is of no life that ends."""
        self.open: dict[Pasid, dict[Thing, tuple[Name, int]]] = {}
        """Things with who opened them, and how often."""
        self.ended: dict[Pasid, dict[Name, tuple[int, Thing]]] = {}
        """Per actor the last input in which it ended something, and what."""
        self.over: dict[Pasid, Incarnation] = {}
        """The last life of the number that was reclaimed."""
        self.gone: dict[Name, None] = {}

    def begins(
        self, record: Record, pasid: Pasid, incarnation: Incarnation, thing: Thing
    ) -> str | None:
        """A thing is open from here on; the sentence, if its life is over.  Ghost 0: not known."""
        if 0 < incarnation <= self.over.get(pasid, 0):
            return (
                f"{said(thing)} began for {named(pasid, incarnation)} after its reclaim, "
                f"at {when(record.stamp)}"
            )
        if incarnation == 0 and self.chosen:
            return None
        things = self.open.get(pasid)
        if things is None:
            self.open[pasid] = {thing: (record.stamp.actor, 1)}
        else:
            before = things.get(thing)
            things[thing] = (record.stamp.actor, 1 if before is None else before[1] + 1)
        return None

    def ends(self, record: Record, pasid: Pasid, thing: Thing) -> bool:
        """The thing is over, however often it began; False if it had not."""
        things = self.open.get(pasid)
        if things is None or things.pop(thing, None) is None:
            return False
        if not things:
            del self.open[pasid]
        self._remember(record, pasid, thing)
        return True

    def ends_once(self, record: Record, pasid: Pasid, thing: Thing) -> None:
        """One of several alike is over."""
        things = self.open.get(pasid)
        if things is None or thing not in things:
            return
        actor, count = things[thing]
        if count == 1:
            self.ends(record, pasid, thing)
            return
        things[thing] = (actor, count - 1)
        self._remember(record, pasid, thing)

    def happens(
        self, record: Record, pasid: Pasid, incarnation: Incarnation, thing: Thing
    ) -> str | None:
        """A thing without duration."""
        if 0 < incarnation <= self.over.get(pasid, 0):
            return self.begins(record, pasid, incarnation, thing)
        if incarnation != 0 or not self.chosen:
            self._remember(record, pasid, thing)
        return None

    def lost(self, actor: Name) -> None:
        """The actor died for good, and with it what it had open."""
        self.gone[actor] = None

    def reclaimed(self, record: Record, fact: PasidReclaimed | GlobalPasidFreed) -> str | None:
        """Everything must be over here, and this record must have seen it."""
        pasid = fact.pasid
        if fact.incarnation > self.over.get(pasid, 0):
            self.over[pasid] = fact.incarnation
        things = self.open.pop(pasid, None)
        ended = self.ended.pop(pasid, None)
        if things is not None:
            still = [said(thing) for thing, (actor, _) in things.items() if actor not in self.gone]
            if still:
                more = f" and {len(still) - 1} more" if len(still) > 1 else ""
                return (
                    f"{named(pasid, fact.incarnation)} was reclaimed at {when(record.stamp)} "
                    f"with {still[0]}{more} still there"
                )
        if ended is not None:
            saw = record.stamp.saw
            for actor, (n, thing) in ended.items():
                if not saw(actor, n) and actor not in self.gone:
                    return (
                        f"{named(pasid, fact.incarnation)} was reclaimed at {when(record.stamp)} "
                        f"before the core could know that {said(thing)} was over "
                        f"(input {n} of {actor})"
                    )
        return None

    def _remember(self, record: Record, pasid: Pasid, thing: Thing) -> None:
        stamp = record.stamp
        ended = self.ended.get(pasid)
        if ended is None:
            self.ended[pasid] = {stamp.actor: (stamp.n, thing)}
        else:
            ended[stamp.actor] = (stamp.n, thing)


# --- Whose it is, and who holds it ----------------------------------------------------------------

Owner: TypeAlias = tuple[Incarnation, Name, int]
"""A life with the token and the number of its set."""


class Owners:
    """The owners of each number's present life and of the one before it: facts can come late."""

    __slots__ = ("before", "now")

    def __init__(self) -> None:
        self.now: dict[Pasid, Owner] = {}
        self.before: dict[Pasid, Owner] = {}

    def allocated(self, fact: PasidAllocated) -> None:
        """A new life."""
        was = self.now.get(fact.pasid)
        if was is not None:
            self.before[fact.pasid] = was
        self.now[fact.pasid] = (fact.incarnation, fact.token, fact.set)

    def assigned(self, fact: MmPasidAssigned) -> None:
        """A PASID of the host's own set, which has no token, is an mm's from here on."""
        now = self.now.get(fact.pasid)
        if now is not None and now[0] == fact.incarnation:
            self.now[fact.pasid] = (fact.incarnation, fact.mm, now[2])

    def of(self, pasid: Pasid, incarnation: Incarnation) -> Owner | None:
        """The owner of that life (ghost 0: of the present one), None if it is long over."""
        now = self.now.get(pasid)
        if now is None or incarnation in (0, now[0]):
            return now
        before = self.before.get(pasid)
        return before if before is not None and before[0] == incarnation else None

    def token(self, pasid: Pasid, incarnation: Incarnation, unknown: Name) -> Name:
        """The owner's token ("" in the NULL set), or `unknown` if the life is long over."""
        owner = self.of(pasid, incarnation)
        return unknown if owner is None else owner[1]

    def said(self, pasid: Pasid, incarnation: Incarnation) -> str:
        """A life and whose it is, in a sentence."""
        owner = self.of(pasid, incarnation)
        whose = "long over" if owner is None else f"of {owner[1] or 'no mm'} in set {owner[2]}"
        return f"{named(pasid, incarnation)}, {whose}"


class Ledger:
    """Who holds how many references on each PASID in use, added up from the core's facts."""

    __slots__ = ("holders",)

    def __init__(self) -> None:
        self.holders: dict[Pasid, dict[str, int]] = {}

    def taken(self, fact: ReferenceTaken) -> None:
        """One more for its holder."""
        holders = self.holders.get(fact.pasid)
        if holders is None:
            self.holders[fact.pasid] = {fact.holder: 1}
        else:
            holders[fact.holder] = holders.get(fact.holder, 0) + 1

    def dropped(self, fact: ReferenceDropped) -> bool:
        """One less; False if the holder had none."""
        holders = self.holders.get(fact.pasid)
        if holders is None or fact.holder not in holders:
            return False
        count = holders[fact.holder]
        if count == 1:
            del holders[fact.holder]
        else:
            holders[fact.holder] = count - 1
        return True

    def reclaimed(self, fact: PasidReclaimed) -> None:
        """The life is over."""
        self.holders.pop(fact.pasid, None)

    def total(self, pasid: Pasid) -> int:
        """All references on the PASID."""
        return sum(self.holders.get(pasid, {}).values())

    def held_by(self, pasid: Pasid) -> list[str]:
        """The holders on the PASID, in order of their first reference."""
        return list(self.holders.get(pasid, {}))


def actor_of(holder: str) -> Name:
    """The actor of a ledger entry `actor:reason`."""
    return holder.partition(":")[0]


def only_lost(holders: list[str], gone: dict[Name, None]) -> bool:
    """Whether somebody holds it, and nobody who still runs: it has to stay as it is (§2.3)."""
    return bool(holders) and all(actor_of(holder) in gone for holder in holders)


# --- Threads across actors ------------------------------------------------------------------------

Thread: TypeAlias = str
"""`actor:number`: the task of an actor, and with it all that runs for it elsewhere."""


@lru_cache(maxsize=4096)
def thread_of(actor: Name, task: str) -> Thread:
    """The thread of a task: `vfio:3` for `free:3` of VFIO, and for `vfio/3` wherever it calls.

    A notification handler is a thread of its own here; whose it runs in only the caller knows.
    """
    caller, calls, number = task.partition("/")
    if calls:
        return f"{caller}:{number}"
    word, _, number = task.partition(":")
    return f"{actor}:{task if word == 'notify' else number or word}"
