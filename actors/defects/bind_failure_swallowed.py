"""KVM has no memory for the page of a new entry and answers BIND as if that were nothing.

The guest's bind succeeds, and each command that it submits leaves the guest without having been
translated.

Kernel: the notifier of arch/x86/kvm/vmx/vmx.c in the Intel data-centre kernel: when the page of the
PASID table cannot be allocated it returns NOTIFY_DONE.
"""

from typing import Final

from actors.kvm import Kvm
from protocol.messages import Verdict

SOURCE: Final = "S41; arch/x86/kvm/vmx/vmx.c of the Intel data-centre kernel, 03618be7409b"


class SwallowsTheFailure(Kvm):
    """Not concerned, it says."""

    __slots__ = ()

    def without_page(self) -> Verdict:
        """Nobody hears of it."""
        return Verdict.DONE


CLASSES: Final[dict[str, type]] = {"kvm": SwallowsTheFailure}
