"""What every object of an iommufd context has, and those that make up a guest's IOMMU."""

from msgspec import Struct


class Object(Struct):
    """`users`: 1, and one for each that needs it, those that just look (`looks`) among them.

    An object that is not `ready` has its id, and nobody finds it.
    """

    users: int = 1
    looks: int = 0
    ready: bool = False


class Viommu(Object, tag=True):
    """The IOMMU that a guest sees, on a page table that is a parent."""

    parent: int = 0


class Vdevice(Object, tag=True):
    """A device as the guest of a vIOMMU knows it."""

    viommu: int = 0
    device: int = 0
    virt: int = 0
