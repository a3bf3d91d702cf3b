"""Rules of the base actors that a defect of the notifiers writes over: one rule, one method."""

from actors.kvm import Inbox, Kvm
from protocol.effects import CALM, Chance, Effect, Send
from protocol.messages import Done, NotifyReply, OpenVm, Verdict
from protocol.names import CORE, Name
from tests.actors.kvm_hands import GUEST, MACHINE, NAME, bind_of
from tests.helpers import Failing, sent, step


class Says(Kvm):
    """A KVM that has another word for a BIND without a page."""

    __slots__ = ()

    def without_page(self) -> Verdict:
        return Verdict.DONE


def test_what_a_bind_without_a_page_answers_is_a_rule_of_its_own() -> None:
    kvm = Says.of(MACHINE, NAME)

    def hand(message: Inbox, sender: Name = CORE, chance: Chance = CALM) -> list[Effect]:
        return sent(step(kvm, message, sender, chance, NAME))

    hand(OpenVm(9), GUEST)
    hand(Done(1))
    no_page = hand(bind_of(7, 4), chance=Failing("kvm.bind.table"))
    assert no_page == [Send(CORE, NotifyReply(1, Verdict.DONE))]
    hand(bind_of(7, 4))
    hand(Done(1))
    no_room = hand(bind_of(8, 4))
    assert no_room == [Send(CORE, NotifyReply(1, Verdict.BAD))]
