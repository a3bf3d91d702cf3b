"""What the core answers to KVM, and who goes on with it (§1.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kvm import files, notifications, settling
from actors.kvm.state import Answer, Bind, Clear, ClearStep, Open, Put, Release, ReleaseStep
from protocol.effects import Out
from protocol.messages import Done, PutPasidGot, Refused

if TYPE_CHECKING:
    from actors.kvm import Kvm


def take(kvm: Kvm, answer: Answer, out: Out) -> None:
    """The task goes on from the step that waits for this."""
    match kvm.tasks.get(answer.call), answer:
        case Open() as opening, Done():
            files.opened(kvm, answer.call, opening, out)
        case Open() as opening, Refused():
            files.not_opened(kvm, answer, opening, out)
        case Bind() as bind, Done():
            notifications.granted(kvm, answer.call, bind, out)
        case Bind() as bind, Refused():
            notifications.refused(kvm, answer.call, bind, out)
        case Clear(step=ClearStep.PUT) as clear, PutPasidGot():
            notifications.cleared(kvm, answer.call, clear, out)
        case Release(step=ReleaseStep.UNREGISTER) as release, Done():
            files.cleared(kvm, release, out)
        case Release(step=ReleaseStep.PUT) as release, PutPasidGot():
            files.cleared(kvm, release, out)
        case Put(), PutPasidGot():
            settling.put_back(kvm, answer.call, out)
        case _:
            pass  # A second copy: nobody waits for it any more.
