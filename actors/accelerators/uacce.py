"""uacce: a file is a queue, which its process starts, and puts when it needs it no more.

A device that is removed takes its queues with it: they are stopped and unbound, and what is asked
of them afterwards is refused.

Kernel: drivers/misc/uacce/uacce.c of Linux 7.3; 80fc671bcc01, 26c08dabe547,
02695347be53.  §8.
"""

from actors.accelerators import Accelerator
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages.accelerators import WriteDescriptor
from protocol.names import Name


class SvaUacce(Accelerator):
    """It has no write()."""

    __slots__ = ()

    def on_write_descriptor(self, _write: WriteDescriptor, _sender: Name, out: Out) -> None:
        """Descriptors go through the portal only."""
        self.end(out, Errno.EINVAL)

    def remap_refusal(self) -> Errno | None:
        """A region of a queue has one mapping (02695347be53)."""
        return Errno.EPERM
