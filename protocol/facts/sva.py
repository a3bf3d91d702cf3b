"""What the SVA core states: PASIDs of mms, their domains, bonds and users (§8).

A bond is known by its handle, which may be used again; `incarnation` is that of the mm's PASID.
"""

from protocol.facts.event import Event
from protocol.names import Incarnation, Name, Pasid


class SvaPasidGiven(Event, frozen=True, tag="sva.pasid_given"):
    """sva: the mm has this PASID from now on, until it is dropped."""

    mm: Name
    pasid: Pasid
    incarnation: Incarnation


class SvaPasidDropped(Event, frozen=True, tag="sva.pasid_dropped"):
    """sva: nobody holds the mm's struct any more; its PASID goes back."""

    mm: Name
    pasid: Pasid
    incarnation: Incarnation


class SvaDomainLinked(Event, frozen=True, tag="sva.domain_linked"):
    """sva: a new domain of the mm has its first user and is found by later binds."""

    domain: Name
    mm: Name


class SvaDomainUsed(Event, frozen=True, tag="sva.domain_used"):
    """sva: the domain has so many bonds now."""

    domain: Name
    users: int


class SvaDomainUnlinked(Event, frozen=True, tag="sva.domain_unlinked"):
    """sva: no bond is left of the domain; no later bind finds it."""

    domain: Name
    mm: Name


class MmHeld(Event, frozen=True, tag="mm.held"):
    """sva: `domain` holds the mm's struct (mmgrab), so that its PASID stays."""

    mm: Name
    domain: Name


class MmLetGo(Event, frozen=True, tag="mm.let_go"):
    """sva: it does no more (mmdrop)."""

    mm: Name
    domain: Name


class SvaPresent(Event, frozen=True, tag="sva.present"):
    """sva: the flag that page tables of the kernel are looked at by: some mm has a domain."""

    on: bool


class HandleAllocated(Event, frozen=True, tag="sva.handle_allocated"):
    """sva: memory for a bond; it is freed if the bind fails, or with the bond."""

    handle: Name


class BondMade(Event, frozen=True, tag="bond.made"):
    """sva: the device's group and the mm have a bond, with one user."""

    handle: Name
    group: Name
    device: Name
    mm: Name
    domain: Name
    pasid: Pasid
    incarnation: Incarnation


class BondUsed(Event, frozen=True, tag="bond.used"):
    """sva: one bind more or one unbind less; with no users left the bond is being ended."""

    handle: Name
    users: int


class BondFreed(Event, frozen=True, tag="bond.freed"):
    """sva: the memory of the handle is gone."""

    handle: Name


class SvaMisused(Event, frozen=True, tag="sva.misused"):
    """sva: a caller broke the contract, and no kernel notices; `what` it did with `name`."""

    what: str
    name: Name


class SvaBindAnswered(Event, frozen=True, tag="sva.bind_answered"):
    """sva: a bind that had the lock is over: with a handle, or with an errno."""

    device: Name
    mm: Name
    handle: Name
    errno: str


class SvaUnbound(Event, frozen=True, tag="sva.unbound"):
    """sva: an unbind of the handle is over."""

    handle: Name


SvaFact = (
    SvaPasidGiven
    | SvaPasidDropped
    | SvaDomainLinked
    | SvaDomainUsed
    | SvaDomainUnlinked
    | MmHeld
    | MmLetGo
    | SvaPresent
    | HandleAllocated
    | BondMade
    | BondUsed
    | BondFreed
    | SvaMisused
    | SvaBindAnswered
    | SvaUnbound
)
"""All of them."""
