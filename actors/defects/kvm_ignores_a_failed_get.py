"""KVM writes its table entry although the core has refused it a reference.

The BIND handler calls `ioasid_get_locked` and does not look at the answer.  For a PASID that was
freed in the meantime the guest gets a translation that nothing keeps; clearing it later puts a
reference that was never taken.

Kernel: the BIND handler of arch/x86/kvm/vmx/vmx.c, Intel data-centre kernel ("DCP").
"""

from typing import Final

from actors.kvm import Kvm
from actors.kvm.state import Answer, Bind
from protocol.effects import Out
from protocol.messages import Done, Refused

SOURCE: Final = "S21; Intel data-centre kernel, arch/x86/kvm/vmx/vmx.c; rules N7 and R6"


class IgnoresAFailedGet(Kvm):
    """The entry is written whether or not the reference was granted."""

    __slots__ = ()

    def on_answer(self, answer: Answer, out: Out) -> None:
        """A refused get is taken for a granted one."""
        if isinstance(answer, Refused) and isinstance(self.tasks.get(answer.call), Bind):
            super().on_answer(Done(answer.call), out)
        else:
            super().on_answer(answer, out)


CLASSES: Final[dict[str, type]] = {"kvm": IgnoresAFailedGet}
