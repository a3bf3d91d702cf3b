"""What the core and the device answer, and who goes on with it (§1.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from actors.vdcm import clearing, files, hardware, notifications, pages, portal, programming
from actors.vdcm.state import (
    Clear,
    ClearStep,
    Close,
    Open,
    Program,
    ProgramStep,
    Right,
    RightStep,
)
from actors.vdcm.submission import Submission, SubmissionStep
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import (
    Done,
    DrainRequestsGot,
    EnqcmdWriteGot,
    FindBySpidGot,
    PutPasidGot,
    Refused,
    Verdict,
)
from protocol.names import Call

if TYPE_CHECKING:
    from actors.vdcm import Vdcm

Answer: TypeAlias = Done | Refused | FindBySpidGot | PutPasidGot | DrainRequestsGot | EnqcmdWriteGot
"""What the core, the device and its unit answer."""


def resume(vdcm: Vdcm, call: Call, out: Out) -> None:
    """The slot that the task waited for is its now."""
    match vdcm.tasks[call]:
        case Program() as task:
            programming.begin(vdcm, call, task, out)
        case Right() as task:
            notifications.begin(vdcm, call, task, out)
        case Clear() as task:
            clearing.begin(vdcm, call, task, out)
        case _:
            raise AssertionError("no other task needs a slot")


def take(vdcm: Vdcm, answer: Answer, out: Out) -> None:
    """The task goes on from the step that waits for this."""
    call = answer.call
    match vdcm.tasks.get(call), answer:
        case Right(step=RightStep.GET) as task, Done():
            notifications.granted(vdcm, call, task, out)
        case Right(step=RightStep.GET) as task, Refused():
            notifications.end(vdcm, call, task, Verdict.BAD, out)
        case Clear(step=ClearStep.INVALIDATE_DEV_TLB) as task, Done() | Refused():
            pages.flushed(vdcm, call, task, out)
        case Clear(step=ClearStep.DRAIN_REQUESTS) as task, DrainRequestsGot():
            clearing.put(vdcm, call, task, out)
        case Clear(step=ClearStep.PUT) as task, PutPasidGot():
            clearing.leave(vdcm, call, task, out, found=not vdcm.put_failed(answer))
        case Open() as task, Done():
            files.opened(vdcm, call, task, out)
        case Open() as task, Refused():
            files.not_opened(vdcm, answer, task, out)
        case Close() as task, Done():
            files.unregistered(vdcm, call, task, out)
        case Program(step=ProgramStep.FIND) as task, FindBySpidGot():
            programming.found(vdcm, answer, task, out)
        case Program(step=ProgramStep.FIND) as task, Refused():
            programming.refuse(vdcm, call, task, Errno.ENXIO, out)
        case Program(step=ProgramStep.PUT, errno=Errno() as errno) as task, PutPasidGot():
            programming.refuse(vdcm, call, task, errno, out)
        case Submission() as task, _:
            take_of_submission(vdcm, answer, task, out)
        case _, Done() | Refused():
            hardware.answered(vdcm, answer, out)
        case _:
            pass  # A second copy: nobody waits for it any more.


def take_of_submission(vdcm: Vdcm, answer: Answer, task: Submission, out: Out) -> None:
    """The slow path to a shared WQ."""
    call = answer.call
    match task.step, answer:
        case SubmissionStep.FIND, FindBySpidGot():
            portal.found(vdcm, answer, task, out)
        case SubmissionStep.FIND, Refused():
            portal.refuse(vdcm, call, task, out)
        case SubmissionStep.DEVICE, EnqcmdWriteGot(accepted=accepted):
            portal.answered(vdcm, call, task, out, accepted=accepted)
        case SubmissionStep.PUT, PutPasidGot():
            portal.finish(vdcm, call, task, out)
        case _:
            pass  # A second copy: nobody waits for it any more.
