"""The driver behind an accelerator's character device: where processes open, bind and close it.

A file lives as long as anybody has a descriptor or a mapping of it, and a child may outlive whoever
opened it.  When the last of them goes the file is released: DMA is stopped first, and only then the
mm unbound.  One request at a time, in the order of asking, as under the driver's mutex.

Kernel: drivers/dma/idxd/cdev.c, drivers/misc/uacce/uacce.c.  §4.10 (O1).
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, assert_never

from actors.uacce import holders
from actors.uacce.state import CALL, Asked, Bond, File, Request, Step
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import FileReleased
from protocol.machine import Machine
from protocol.messages import (
    BindFile,
    BindMm,
    BindMmGot,
    DisableWq,
    Done,
    DupFiles,
    EnableWq,
    HostLost,
    OpenFile,
    PutFile,
    Refused,
    ReleaseFds,
    Start,
    UnbindFile,
    UnbindMm,
    WqMode,
)
from protocol.names import IOMMU, Name

Answer: TypeAlias = Done | Refused | BindMmGot
Inbox: TypeAlias = Start | HostLost | Request | Answer


@dataclass(slots=True)
class Uacce:
    """`files` by opener; the first of `queue` is in hand, for the file of `opener`.

    `gone` have died: nothing may be handed down to them.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    device: Name
    mode: WqMode
    files: dict[Name, File] = field(default_factory=dict)
    queue: list[Asked] = field(default_factory=list)
    step: Step = Step.BEGIN
    opener: Name = ""
    gone: list[Name] = field(default_factory=list)

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        """Nobody has opened it."""
        device = machine.device(name.removeprefix("uacce."))
        return cls(device.name, WqMode(device.wq))

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """A request waits for its turn; an answer lets the one in hand go on."""
        match message:
            case Start() | HostLost():
                pass  # Nothing is open, and a process is not lost: it exits, and closes its files.
            case Done() | Refused() | BindMmGot():
                self.on_answer(message, out)
            case OpenFile() | BindFile() | UnbindFile() | PutFile() | DupFiles() | ReleaseFds():
                self.queue.append(Asked(sender, message))
            case _:
                assert_never(message)
        while self.queue and self.step is Step.BEGIN:
            self.begin(self.queue[0].request, self.queue[0].sender, out)

    def begin(self, request: Request, sender: Name, out: Out) -> None:
        """Its turn has come."""
        match request:
            case OpenFile():
                self.on_open_file(sender, out)
            case BindFile():
                self.on_bind_file(sender, out)
            case UnbindFile():
                self.on_unbind_file(sender, out)
            case PutFile():
                self.on_put_file(request, sender, out)
            case DupFiles():
                self.on_dup_files(request, sender, out)
            case ReleaseFds():
                self.on_release_fds(request, out)
            case _:
                assert_never(request)

    def on_bind_file(self, sender: Name, out: Out) -> None:
        """To the mm of whoever opened it, once."""
        file = self.files.get(sender)
        if file is None or file.bond is not None:
            self.end(out, Errno.EINVAL if file is None else Errno.EBUSY)
            return
        self.opener, self.step = sender, Step.BIND
        out.send(IOMMU, BindMm(CALL, sender, self.device))

    def on_unbind_file(self, sender: Name, out: Out) -> None:
        """The work that is there may end by itself."""
        file = self.files.get(sender)
        if file is None or file.bond is None:
            self.end(out, Errno.EINVAL)
            return
        self.opener = sender
        self.stop_dma(out, abort=False)

    on_open_file = holders.on_open_file
    on_put_file = holders.on_put_file
    on_release_fds = holders.on_release_fds
    on_dup_files = holders.on_dup_files
    drop = holders.drop

    def stop_dma(self, out: Out, *, abort: bool) -> None:
        """Before unbind, always (O1)."""
        self.step = Step.STOP
        out.send(self.device, DisableWq(CALL, self.opener, abort))

    def on_answer(self, answer: Answer, out: Out) -> None:
        """The call of the request in hand has been answered."""
        file = self.files[self.opener]
        match self.step, answer:
            case Step.BIND, BindMmGot(pasid=pasid, incarnation=incarnation):
                file.bond = Bond(pasid, incarnation)
                self.step = Step.ENABLE
                enable = EnableWq(CALL, self.opener, self.mode, pasid, incarnation)
                out.send(self.device, enable)
            case Step.BIND, Refused(errno=errno):
                self.end(out, errno)
            case Step.STOP, _:
                self.unbind(file, out)
            case Step.UNBIND, _:
                file.bond = None
                self.release(out) if not file.holders and not file.mapped else self.end(out)
            case _:
                self.end(out)

    def unbind(self, file: File, out: Out) -> None:
        """Nothing of the file runs in the device any more."""
        assert file.bond is not None, "only what is bound is stopped"
        self.step = Step.UNBIND
        bond = file.bond
        vm = self.opener
        out.send(IOMMU, UnbindMm(CALL, vm, self.device, bond.pasid, bond.incarnation))

    def release(self, out: Out) -> None:
        """The file is gone."""
        del self.files[self.opener]
        out.record(FileReleased(self.device, self.opener))
        self.end(out)

    def end(self, out: Out, errno: Errno | None = None) -> None:
        """The answer; a dead process gets none, and what else it holds comes next."""
        self.step, opener, self.opener = Step.BEGIN, self.opener, ""
        asked = self.queue[0]
        match asked.request:
            case ReleaseFds():
                if not opener:
                    del self.queue[0]
            case OpenFile() | BindFile() | UnbindFile() | PutFile() | DupFiles() as request:
                del self.queue[0]
                answer = Done(request.call) if errno is None else Refused(request.call, errno)
                out.send(asked.sender, answer)
            case _:
                assert_never(asked.request)
