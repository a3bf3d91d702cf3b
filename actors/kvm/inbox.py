"""What KVM may be handed."""

from typing import TypeAlias

from actors.kvm.state import Answer
from protocol.messages import (
    EnqcmdWriteGot,
    GuestEnqcmd,
    HostLost,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyUnbind,
    OpenVm,
    ReleaseFds,
    Start,
)
from protocol.messages.amnesia import Forget, RecallCallsGot, RecallLedgerGot

Inbox: TypeAlias = (
    Start
    | HostLost
    | OpenVm
    | ReleaseFds
    | GuestEnqcmd
    | EnqcmdWriteGot
    | NotifyAlloc
    | NotifyBind
    | NotifyUnbind
    | NotifyFree
    | Answer
    | Forget
    | RecallLedgerGot
    | RecallCallsGot
)
