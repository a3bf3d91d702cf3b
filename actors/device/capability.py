"""The PASID capability of a function, as the PCI core enables it.

Whoever probes the device has enabled it, so that a second time is one too many.  A device goes on
with PASIDs that it has: nobody may disable them while any is attached, and nobody checks.

Kernel: pci_enable_pasid, pci_disable_pasid of drivers/pci/ats.c of Linux 7.3; 201007ef707a.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import Done, Refused
from protocol.messages.probing import PciDisablePasid, PciEnablePasid, PfPasidStatus
from protocol.names import Name

if TYPE_CHECKING:
    from actors.device import Device

Request: TypeAlias = PciEnablePasid | PciDisablePasid | PfPasidStatus

NONE: Final = "no-pasid"
"""A device without the capability."""
FEATURES: Final = ("EXEC", "PRIV")
"""PCI_PASID_CAP_EXEC, PCI_PASID_CAP_PRIV."""


def on_request(device: Device, request: Request, sender: Name, out: Out) -> None:
    """The one who enables a virtual function hears what its device says."""
    errno: Errno | None = None
    match request:
        case PciEnablePasid():
            if device.pf:
                out.send(device.pf, PfPasidStatus(request.call, sender))
                return
            errno = refusal(device, request.features)
            device.pasid_on = device.pasid_on or errno is None
        case PciDisablePasid():
            device.pasid_on = device.pasid_on and bool(device.pf)
        case PfPasidStatus():
            sender, errno = request.whose, None if device.pasid_on else Errno.EINVAL
        case _:
            assert_never(request)
    out.send(sender, Done(request.call) if errno is None else Refused(request.call, errno))


def refusal(device: Device, features: tuple[str, ...]) -> Errno | None:
    """Enabled already, TLP prefixes, the capability, ACS, features, in this order."""
    if device.pasid_on:
        return Errno.EBUSY
    quirks = device.quirks.split("+")
    if "no-tlp-prefix" in quirks and "pasid-no-tlp" not in quirks:
        return Errno.EINVAL
    if NONE in quirks or "no-acs" in quirks:
        return Errno.EINVAL
    supported = [one for one in FEATURES if one != "EXEC" or "no-exec" not in quirks]
    return None if all(one in supported for one in features) else Errno.EINVAL
