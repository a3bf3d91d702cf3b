"""What a trace does not say of the machine it was recorded on.

The pool and the custom allocators (6.1); devices, groups, domains and the driver (6.12, 7.3).
"""

from typing import Annotated

from msgspec import Meta, Struct

from protocol.names import PASID_COUNT, Name


class CustomAllocator(Struct, frozen=True, forbid_unknown_fields=True):
    """struct ioasid_allocator_ops: `name` in the trace, its `helpers`, and the `data` they get."""

    name: Name
    helpers: Name
    data: str | None = None


class Helper(Struct, frozen=True, forbid_unknown_fields=True):
    """The functions of one pair of helpers, as the text of a trace names them."""

    name: Name
    alloc: str
    free: str


class Pool(Struct, frozen=True, forbid_unknown_fields=True):
    """`pasids`: numbers 1 to `pasids` can be had; 0: as far as the range of each alloc goes."""

    pasids: Annotated[int, Meta(ge=0, lt=PASID_COUNT)] = 0


class TraceDevice(Struct, frozen=True, forbid_unknown_fields=True):
    """A device: its group and the IOMMU it is behind, if any; `pasids` is its max_pasids."""

    name: Name
    group: Name = ""
    unit: Name = ""
    pasids: Annotated[int, Meta(ge=0, le=PASID_COUNT)] = 0


class TraceDomain(Struct, frozen=True, forbid_unknown_fields=True):
    """A domain: its kind, the IOMMU whose driver made it (none: every driver's).

    `pasid`: it has a set_dev_pasid.
    """

    name: Name
    kind: str
    unit: Name = ""
    pasid: bool = True


class Driver(Struct, frozen=True, forbid_unknown_fields=True):
    """The functions of the IOMMU driver, as the text of a trace names them.

    `plug` and `unplug` are those with which a test lets a device come and go.
    """

    set: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    alloc_sva: tuple[str, ...] = ()
    free: tuple[str, ...] = ()
    plug: tuple[str, ...] = ()
    unplug: tuple[str, ...] = ()


class TraceMachine(Struct, frozen=True, forbid_unknown_fields=True):
    """A machine file; `blocking` is what the trace calls the static blocking domain.

    `look_ups_fail`: iommufd's look-ups of objects were made to fail (its debugfs `fail_iommufd`).
    """

    pool: Pool = Pool()
    allocator: tuple[CustomAllocator, ...] = ()
    helper: tuple[Helper, ...] = ()
    getter: tuple[str, ...] = ()
    blocking: str = "blocked"
    driver: Driver = Driver()
    device: tuple[TraceDevice, ...] = ()
    domain: tuple[TraceDomain, ...] = ()
    look_ups_fail: bool = False
