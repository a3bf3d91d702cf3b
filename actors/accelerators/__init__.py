"""The driver behind an accelerator of a modern kernel: a file is bound to its opener's mm.

Whatever open takes, release gives back in the opposite order, and so does an open that fails: the
queue stops first, then the mm is unbound, and the reference on the mm's struct is held until unbind
has returned (a9162439ad79).  One request at a time, in the order of asking, as under its mutex.

Kernel: drivers/dma/idxd/cdev.c, drivers/misc/uacce/uacce.c of Linux 7.3.  §8 (I12, I41).
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, assert_never

from actors.accelerators import closing, opening, use
from actors.accelerators.state import (
    NOMEM,
    OF_DEVICE,
    Answer,
    Asked,
    File,
    Life,
    Part,
    Request,
    Step,
)
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts.accelerators import OpenRefused
from protocol.machine import Machine
from protocol.messages import (
    Done,
    DupFiles,
    EnqcmdWriteGot,
    HostLost,
    Refused,
    ReleaseFds,
    Start,
    WqMode,
)
from protocol.messages.accelerators import (
    CloseFile,
    MmPasidGot,
    OpenDevice,
    PutQueue,
    StartQueue,
    UseFile,
    WriteDescriptor,
)
from protocol.messages.iommu_core import AllocGlobalPasidGot
from protocol.messages.sva import SvaBindDeviceGot
from protocol.names import Name

Inbox: TypeAlias = Request | Answer


@dataclass(slots=True)
class Accelerator:
    """`files` by number; the first of `queue` is in hand, for `file`, which fails with `errno`.

    `ended` have died: nothing may be handed down to them.  `absent`: the device has gone, and
    answers nothing; `removed`: the driver knows.  `own` is the PASID of the kernel itself.
    """

    SITES: ClassVar[tuple[Site, ...]] = (NOMEM,)
    LOSABLE: ClassVar[bool] = False

    device: Name
    unit: Name
    mode: WqMode
    system: bool
    files: dict[int, File] = field(default_factory=dict)
    queue: list[Asked] = field(default_factory=list)
    step: Step = Step.BEGIN
    file: int = 0
    errno: Errno | None = None
    ended: list[Name] = field(default_factory=list)
    absent: bool = False
    removed: bool = False
    written: int = 0
    own: Life | None = None

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """Nobody has opened it."""
        device = machine.device(name.partition(".")[2])
        return cls(device.name, device.unit, WqMode(device.wq), device.system_pasid)

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """A request waits for its turn; an answer lets the one in hand go on."""
        match message:
            case HostLost():
                self.on_host_lost(message, sender, out)
            case Done() | Refused() | SvaBindDeviceGot() | MmPasidGot():
                self.on_answer(message, out)
            case AllocGlobalPasidGot() | EnqcmdWriteGot():
                self.on_answer(message, out)
            case _:
                self.queue.append(Asked(sender, message))
        while self.queue and self.step is Step.BEGIN:
            self.begin(self.queue[0].request, self.queue[0].sender, out)

    def on_host_lost(self, lost: HostLost, sender: Name, out: Out) -> None:
        """A device that has gone answers nothing more; its removal waits for its turn."""
        if lost.name != self.device:
            return  # A process is not lost: it exits, and closes its files.
        self.absent = True
        self.queue.append(Asked(sender, lost))
        if self.step in OF_DEVICE:
            self.on_answer(Refused(1, Errno.ENODEV), out)

    def begin(self, request: Request, sender: Name, out: Out) -> None:
        """Its turn has come."""
        match request:
            case OpenDevice():
                self.on_open_device(request, sender, out)
            case UseFile():
                self.on_use_file(request, sender, out)
            case StartQueue():
                self.on_start_queue(request, sender, out)
            case PutQueue():
                self.on_put_queue(request, sender, out)
            case WriteDescriptor():
                self.on_write_descriptor(request, sender, out)
            case CloseFile():
                self.on_close_file(request, sender, out)
            case DupFiles():
                self.on_dup_files(request, sender, out)
            case ReleaseFds():
                self.on_release_fds(request, out)
            case Start():
                self.probe(out)
            case HostLost():
                self.remove(out)
            case _:
                assert_never(request)

    def on_answer(self, answer: Answer, out: Out) -> None:
        """The call of the request in hand has been answered."""
        match self.step:
            case Step.HOLD | Step.BIND | Step.PASID:
                self.go_on_opening(answer, out)
            case Step.ENABLE:
                self.enabled(answer, out)
            case Step.WRITE:
                self.after_write(answer, out)
            case Step.STOP:
                self.gone(Part.WQ, out)
            case Step.UNBIND:
                self.gone(Part.BOND, out)
            case _:
                self.go_on_alone(answer, out)

    def end(self, out: Out, errno: Errno | None = None) -> None:
        """The answer to the request in hand, if it wants one."""
        file, self.step, self.file, self.errno = self.file, Step.BEGIN, 0, None
        asked = self.queue.pop(0)
        request = asked.request
        match request:
            case ReleaseFds() | Start() | HostLost():
                return
            case OpenDevice() if errno is not None:
                out.record(OpenRefused(self.device, file, request.mm, errno.value))
        out.send(
            asked.sender, Done(request.call) if errno is None else Refused(request.call, errno)
        )

    def go_on_alone(self, answer: Answer, out: Out) -> None:
        """Of what only some drivers ask."""
        raise AssertionError(f"{answer} answers nothing")

    def probe(self, out: Out) -> None:
        """Nothing is to be done before the first open."""
        self.end(out)

    on_open_device = opening.on_open_device
    open_refusal = opening.open_refusal
    after_bind = opening.after_bind
    go_on_opening = opening.go_on_opening
    enable = opening.enable
    enabled = opening.enabled
    opened = opening.opened
    undo = opening.undo
    open_failed = opening.open_failed
    hold = opening.hold
    on_use_file = use.on_use_file
    use_refusal = use.use_refusal
    remap_refusal = use.remap_refusal
    on_start_queue = use.on_start_queue
    on_put_queue = use.on_put_queue
    on_write_descriptor = use.on_write_descriptor
    after_write = use.after_write
    on_dup_files = use.on_dup_files
    on_close_file = closing.on_close_file
    on_release_fds = closing.on_release_fds
    take_apart = closing.take_apart
    next_part = closing.next_part
    stop = closing.stop
    gone = closing.gone
    apart = closing.apart
    remove = closing.remove
