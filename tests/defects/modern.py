"""Mistakes of the modern stack's software, each on the experiment of the bank that is about it.

A mistake that the bank has breaks one rule there; where it breaks two, a smaller one is here.
"""

from typing import Final

from actors.sva import Sva
from actors.sva.state import Bind, Step
from clusters.cluster import ActorClass, Role
from clusters.lineup import Lineup
from experiments.harness.banking import BUGS
from protocol.effects import Out
from protocol.names import Name
from tests.defects.stages import Stage
from tests.worlds import world_of

SCHEDULES: Final = 20


def of_the_bank(name: str) -> Stage:
    """The experiment, without what it is the bug of."""
    text = (BUGS / f"{name}.toml").read_text(encoding="utf-8")
    lines = [one for one in text.splitlines() if not one.startswith("defects")]
    text = "\n".join(lines).partition("[expect]")[0]
    return Stage(text, SCHEDULES, tuple(world_of(text).nemeses))


def mistake(name: str) -> dict[Role, ActorClass]:
    """The defect of that name."""
    return Lineup(defects=(name,)).classes()


class ForgetsTheFirstUser(Sva):
    """I12.  Half of modern bug 8: the bond of a second device is found, but was not counted."""

    __slots__ = ()

    def make_bond(self, bind: Bind, domain: Name, out: Out) -> None:
        super().make_bond(bind, domain, out)
        if bind.step is Step.ATTACH:
            self.bonds[bind.handle].users = 0


BANKED: Final = {
    "global-pasids-have-one-owner": "pasid-freed-at-the-last-unbind",
    "global-pasids-within-the-device": "one-number-too-many",
    "failed-attach-changes-nothing": "undo-of-every-device",
    "failed-replace-keeps-the-old": "failed-replace-blocks",
    "handles-seen-when-attached": "reserved-slot-seen",
    "attaches-have-a-fresh-handle": "replaced-by-the-same-handle",
    "one-bond-for-a-pair": "binds-not-shared",
    "binds-return-their-own-bond": "bind-returns-any-handle",
    "failed-binds-leave-nothing": "failed-bind-leaks-its-handle",
    "page-tables-made-for-pasids": "any-page-table-for-pasids",
    "attachments-are-counted": "replace-moves-one-user",
    "destroyed-when-unused": "destroyed-while-attached",
    "devices-unbound-when-detached": "detach-leaves-the-device-listed",
    "vfio-keeps-what-is-attached": "undo-takes-the-rid",
    "owners-change-when-nothing-is-attached": "claimed-with-pasids-attached",
    "reset-devices-stay-blocked": "nested-reset-not-counted",
}
"""Rules, and the bugs of the bank that break just them."""

ALSO: Final = {
    "global-pasids-have-one-owner": (
        ("entries-cleared-before-reclaim",),
        "a number that is taken back is attached once more by the mm that goes on with it",
    ),
    "destroyed-when-unused": (
        ("cache-tags-follow-attachments",),
        "the domain goes with its page table, and the driver still has it on the device",
    ),
}
"""Rules that are not broken alone, what is broken with them, and why."""

SOFTWARE: Final[tuple[tuple[str, Stage, dict[Role, ActorClass]], ...]] = (
    *((rule, of_the_bank(bug), mistake(bug)) for rule, bug in BANKED.items()),
    ("bonds-add-up", of_the_bank("shared-domain-without-a-user"), {"sva": ForgetsTheFirstUser}),
)
"""A rule, where it is broken, and by whom."""
