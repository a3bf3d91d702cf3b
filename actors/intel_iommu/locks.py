"""The driver's spinlocks, of those that somebody keeps from one input to the next.

Kernel: struct dmar_domain in drivers/iommu/intel/iommu.h of Linux 7.3.  §8.
"""

from msgspec import Struct, field

from protocol.names import Call, Name


class Lock(Struct):
    """A lock that is kept from one input to the next: who has it, and who waits."""

    holder: Call
    waiting: list[Call] = field(default_factory=list)


def domain_lock(domain: Name) -> str:
    """Of a domain's list of places."""
    return f"domain->lock {domain}"


def cache_lock(domain: Name) -> str:
    """Of its cache tags."""
    return f"cache_lock {domain}"
