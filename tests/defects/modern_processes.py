"""Mistakes of processes of a modern kernel and of drivers of accelerators, one for each rule."""

from typing import Final

from actors.accelerators.idxd import Idxd
from actors.accelerators.state import File, Part
from actors.defects.pasid_dropped_in_mmput import DropsInMmput
from clusters.cluster import ActorClass, Role
from tests.defects.modern import mistake, of_the_bank
from tests.defects.stages import Stage


class KeepsTheMm(Idxd):
    """I42.  The reference that open has taken is nobody's business after unbind."""

    __slots__ = ()

    def next_part(self, file: File) -> Part | None:
        part = super().next_part(file)
        return None if part is Part.MM else part


OPENED: Final = """\
title = "A process opens a device, and goes or makes another"
stack = "iommufd"

[[machine.unit]]
name = "dmar0"

[[machine.device]]
name   = "d1"
unit   = "dmar0"
pasids = 16
driver = "idxd"

[processes]
count = 2

[[process]]
name  = "proc1"
steps = ["open d1", "%s"]
"""
BANKED: Final = {
    "mm-held-until-unbound": "driver-lets-the-mm-go-first",
    "msr-is-the-mms": "msr-loaded-by-broadcast",
    "kernel-tables-flushed": "kernel-tables-freed-at-once",
    "failed-opens-leave-nothing": "failed-open-reported-as-success",
    "descriptors-of-their-submitter": "write-from-another-mm",
    "removed-devices-have-no-files": "removed-device-keeps-its-queues",
}
"""Rules, and the bugs of the bank that break just them."""

PROCESSES: Final[tuple[tuple[str, Stage, dict[Role, ActorClass]], ...]] = (
    *((rule, of_the_bank(bug), mistake(bug)) for rule, bug in BANKED.items()),
    ("exited-mms-leave-nothing", Stage(OPENED % "exit", 20), {"idxd": KeepsTheMm}),
    ("bonds-keep-their-mm", Stage(OPENED % "exit", 20), {"sva_process": DropsInMmput}),
    (
        "new-mms-have-no-pasid",
        Stage(OPENED % "fork proc2", 20),
        mistake("fork-copies-the-pasid"),
    ),
)
"""A rule, where it is broken, and by whom."""
