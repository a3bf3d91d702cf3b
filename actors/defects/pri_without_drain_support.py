"""PRI is enabled behind a unit that cannot drain page requests: every drain ends at once.

Without PDS the bit that makes a drain wait is reserved.  The driver submits what it always does and
is told that it is complete; answers to the device may still be on their way.  Since Oct 2025 PRI is
not enabled there.
"""

from typing import Final, Self

from msgspec.structs import replace

from actors.device import Device
from actors.iommu_driver import IommuDriver
from actors.vdcm import Vdcm
from protocol.machine import Machine
from protocol.names import Name

SOURCE: Final = "S49; 5ef7e24c7420, Oct 2025, PRS is not usable if PDS is not supported"


def unquestioned(machine: Machine) -> Machine:
    """The machine, as it is for who does not look at PDS."""
    return replace(machine, units=tuple(replace(unit, pds=True) for unit in machine.units))


class AsksForPages(Device):
    """PRI is on."""

    __slots__ = ()

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """It has PRI, and nobody keeps it off."""
        return super().of(unquestioned(machine), name)


class TrustsTheDrain(IommuDriver):
    """It enables PRI, and drains."""

    __slots__ = ()

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """Whatever the unit says of itself."""
        return super().of(unquestioned(machine), name)


class SettlesInVain(Vdcm):
    """It drains, too."""

    __slots__ = ()

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """Whatever the unit says of itself."""
        return super().of(unquestioned(machine), name)


CLASSES: Final[dict[str, type]] = {
    "device": AsksForPages,
    "iommu": TrustsTheDrain,
    "vdcm": SettlesInVain,
}
