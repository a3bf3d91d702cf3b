"""I12: one unbind too many, or a user forgotten, and a device works on memory that is another's."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.sva import (
    BondFreed,
    BondMade,
    BondUsed,
    SvaBindAnswered,
    SvaDomainLinked,
    SvaDomainUnlinked,
    SvaDomainUsed,
    SvaPasidDropped,
    SvaPasidGiven,
    SvaPresent,
    SvaUnbound,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class BondsAddUp:
    """A bond has as many users as binds, a domain as bonds; it is listed while it has, and known.

    The flag that something is bound at all is only judged where it has been stated (not in 6.12).
    """

    name: ClassVar[str] = "bonds-add-up"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I12"
    source: ClassVar[str] = "iommu-sva.c of Linux 7.3; 6384c56c99d9, 06e14c36e20b, e37d5a2d60a3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        BondMade,
        BondUsed,
        BondFreed,
        SvaBindAnswered,
        SvaUnbound,
        SvaDomainLinked,
        SvaDomainUsed,
        SvaDomainUnlinked,
        SvaPresent,
        SvaPasidGiven,
        SvaPasidDropped,
    )

    def __init__(self, machine: Machine) -> None:
        self.binds: dict[Name, int] = {}
        """By handle, binds without their unbinds."""
        self.users: dict[Name, int] = {}
        self.domain_of: dict[Name, Name] = {}
        self.domain_users: dict[Name, int] = {}
        self.listed: dict[Name, Name] = {}
        """By domain, its mm."""
        self.gone: dict[Name, None] = {}
        self.present: bool | None = None

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SvaBindAnswered:
            if fact.handle in self.users:  # Else it is no bond, and I13 says so.
                self.binds[fact.handle] = self.binds.get(fact.handle, 0) + 1
                return self._users(record, fact.handle)
        elif type(fact) is SvaUnbound:
            self.binds[fact.handle] = self.binds.get(fact.handle, 0) - 1
            return self._users(record, fact.handle)
        elif type(fact) is BondUsed:
            self.users[fact.handle] = fact.users
        elif type(fact) is BondMade:
            self.users[fact.handle], self.domain_of[fact.handle] = 1, fact.domain
            return self._bonds(record, fact.domain)
        elif type(fact) is BondFreed:
            self.users.pop(fact.handle, None)
            domain = self.domain_of.pop(fact.handle, None)
            return None if domain is None else self._bonds(record, domain)
        elif type(fact) is SvaDomainUsed:
            self.domain_users[fact.domain] = fact.users
        elif type(fact) is SvaDomainLinked:
            self.listed[fact.domain] = fact.mm
        elif type(fact) is SvaDomainUnlinked:
            self.listed.pop(fact.domain, None)
            if fact.mm in self.gone:
                return f"{fact.domain} left {fact.mm} at {when(record.stamp)}, which had gone"
        elif type(fact) is SvaPresent:
            self.present = fact.on
        elif type(fact) is SvaPasidDropped:
            self.gone[fact.mm] = None
        elif type(fact) is SvaPasidGiven:
            self.gone.pop(fact.mm, None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _users(self, record: Record, handle: Name) -> str | None:
        """Between two calls of a caller."""
        binds, users = self.binds[handle], self.users.get(handle, 0)
        if not binds:
            del self.binds[handle]
        if binds != users:
            return f"{handle} has {users} users at {when(record.stamp)}, and {binds} binds"
        return None

    def _bonds(self, record: Record, domain: Name) -> str | None:
        """When a bond of a domain has come or gone."""
        count, here = list(self.domain_of.values()).count(domain), when(record.stamp)
        users = self.domain_users.get(domain, 0)
        if users != count:
            return f"{domain} has {users} users at {here}, and {count} bonds"
        if (domain in self.listed) != (count > 0):
            listed = "is" if domain in self.listed else "is not"
            return f"{domain} has {count} bonds at {here}, and {listed} listed"
        if self.present is not None and self.present != bool(self.listed):
            return f"{len(self.listed)} domains are listed at {here}, and the flag says otherwise"
        return None
