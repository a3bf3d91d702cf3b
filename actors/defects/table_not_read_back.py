"""KVM has lost its memory, and begins with an empty table, as it does when a VM is made.

The CPU walks the old one all the same, so a vCPU submits with a host PASID for which KVM, finding
no entry, has just put the reference.
"""

from typing import Final

from actors.kvm import Kvm
from actors.kvm.state import Entry
from protocol.names import Gpasid

SOURCE: Final = "domain reference of the IOASID era, 5.9: the table is the ground truth; N7, R6"


class BeginsWithAnEmptyTable(Kvm):
    """Nothing is read back."""

    __slots__ = ()

    def read_back(self) -> dict[Gpasid, Entry]:
        """A new page, all zero."""
        return {}


CLASSES: Final[dict[str, type]] = {"kvm": BeginsWithAnEmptyTable}
