"""Groups of devices and domains of the modern stack, as values (§8).

A domain is known by its name.  Those that a machine has from the start are in its description;
whoever makes one later says in its name what it is, `SVA@dmar0.proc1`, so that nobody must be told.
"""

from typing import Final

from msgspec import Struct

from protocol.names import Name

NO_PASID: Final = 0
"""IOMMU_NO_PASID: DMA without PASID, the RID."""
NULL: Final[Name] = ""
"""No handle, no domain, no owner."""
UNMANAGED: Final = "UNMANAGED"
NESTED: Final = "NESTED"
SVA: Final = "SVA"
BLOCKED: Final = "BLOCKED"
DMA: Final = "DMA"
ANY_KIND: Final = ""


class Domain(Struct, frozen=True):
    """`unit`: the IOMMU whose driver made it; empty: every driver's (the static blocking domain).

    `pasid`: it can be set on a PASID.
    """

    name: Name
    kind: str = UNMANAGED
    unit: Name = ""
    pasid: bool = True


class Group(Struct, frozen=True):
    """Devices that the IOMMU cannot tell apart, in the order in which they are asked."""

    name: Name
    devices: tuple[Name, ...]


BLOCKING: Final = Domain("blocked", BLOCKED)
"""The static blocking domain."""
DEFAULT: Final = Domain("default", DMA, pasid=False)
"""What DMA without PASID goes to when nobody has attached anything, in every group."""


def domain_name(kind: str, unit: Name, maker: str) -> Name:
    """What to call a new domain, so that `made_domain` knows what it is."""
    return f"{kind}@{unit}.{maker}"


def made_domain(name: Name) -> Domain:
    """What a domain is, by its name; one that says nothing is UNMANAGED, of every driver."""
    kind, found, rest = name.partition("@")
    return Domain(name, kind, rest.partition(".")[0]) if found else Domain(name)
