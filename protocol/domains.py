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

    `pasid`: it can be set on a PASID.  `stage`: of SMMUv3, 2 if its tables are a VM's.
    """

    name: Name
    kind: str = UNMANAGED
    unit: Name = ""
    pasid: bool = True
    stage: int = 1


class Group(Struct, frozen=True):
    """Devices that the IOMMU cannot tell apart, in the order in which they are asked.

    `finalised`: it has a default domain; the IOMMU driver's probe ends with that.
    """

    name: Name
    devices: tuple[Name, ...]
    finalised: bool = True


BLOCKING: Final = Domain("blocked", BLOCKED)
"""The static blocking domain."""
DEFAULT: Final = Domain("default", DMA, pasid=False)
"""What DMA without PASID goes to when nobody has attached anything, in every group."""


TAKES_FAULTS: Final = "+iopf"
"""How the name of a domain ends that got a fault handler from whoever had it made."""


def domain_name(kind: str, unit: Name, maker: str, *, faults: bool = False) -> Name:
    """What to call a new domain, so that `made_domain` knows what it is.

    `maker` is who had it made and a number, `proc1.1`; `faults`: page requests go to its maker.
    """
    return f"{kind}@{unit}.{maker}{TAKES_FAULTS if faults else ''}"


def made_domain(name: Name) -> Domain:
    """What a domain is, by its name; one that says nothing is UNMANAGED, of every driver."""
    kind, found, rest = name.partition("@")
    return Domain(name, kind, rest.partition(".")[0]) if found else Domain(name)


def maker_of(name: Name) -> Name:
    """Who had a domain made: the mm of an SVA domain, an iommufd context; nobody: empty."""
    _, _, rest = name.partition("@")
    return rest.partition(".")[2].rpartition(".")[0]


def has_fault_handler(name: Name) -> bool:
    """domain->iopf_handler: every SVA domain has one, others if they were made with one."""
    if not maker_of(name):
        return False
    return made_domain(name).kind == SVA or name.endswith(TAKES_FAULTS)
