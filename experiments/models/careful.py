"""The actors of model B who know what they have done, so that nothing is done twice.

A user numbers its requests.  The allocator knows by the number that it has served a request, and a
user that an answer is stale.
"""

from dataclasses import dataclass, field
from typing import assert_never

from experiments.models.refcount import LIFE, PASID, REASON, Allocator, User, UserInbox
from protocol.effects import Out
from protocol.facts import ReferenceDropped
from protocol.messages import Done, FreePasid, GetPasid, HostLost, PutPasid, PutPasidGot, Start
from protocol.names import NO_SET, Name


@dataclass(slots=True)
class TellingAllocator(Allocator):
    """Records what is put, too."""

    def on_put_pasid(self, put: PutPasid, user: Name, out: Out) -> None:
        Allocator.on_put_pasid(self, put, user, out)
        out.record(ReferenceDropped(PASID, LIFE, user, self.refs))


@dataclass(slots=True)
class CarefulAllocator(TellingAllocator):
    """`served`: the last request of each user; it is answered again, and not done again."""

    served: dict[Name, int] = field(default_factory=dict)

    def on_get_pasid(self, get: GetPasid, user: Name, out: Out) -> None:
        if self.served.get(user) == get.call:
            out.send(user, Done(get.call))
            return

        self.served[user] = get.call
        Allocator.on_get_pasid(self, get, user, out)

    def on_put_pasid(self, put: PutPasid, user: Name, out: Out) -> None:
        if self.served.get(user) == put.call:
            out.send(user, PutPasidGot(put.call, reclaimed=False))
            return

        self.served[user] = put.call
        TellingAllocator.on_put_pasid(self, put, user, out)


@dataclass(slots=True)
class CarefulUser(User):
    """Numbers its requests: `call` is the one that it waits for, and other answers are stale."""

    call: int = 0

    def handle(self, message: UserInbox, sender: Name, out: Out) -> None:
        match message:
            case Done() if message.call == self.call:
                self.call += 1
                out.send(self.door, PutPasid(self.call, PASID, LIFE, REASON))
            case PutPasidGot() if message.call == self.call:
                self.rounds -= 1
                self.next_round(out)
            case Start():
                self.next_round(out)
            case Done() | PutPasidGot() | HostLost():
                pass  # A second answer to what was answered; and nobody is ever lost here.
            case _:
                assert_never(message)

    def next_round(self, out: Out) -> None:
        self.call += 1
        if self.rounds > 0:
            out.send(self.door, GetPasid(self.call, NO_SET, PASID, LIFE, REASON))
        else:
            out.send(self.door, FreePasid(self.call, NO_SET, PASID, LIFE))
