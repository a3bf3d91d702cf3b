"""Mistakes about page requests of the modern stack, each where it breaks one rule alone."""

from typing import Final

from actors.defects.faults_answered_in_the_new_queue import AnswersInTheNewQueue
from actors.defects.group_on_two_lists import KeepsWhatItGivesAway
from actors.defects.reader_holds_up_the_fault_handler import WaitsForTheReader
from actors.iopf import Iopf
from actors.iopf.answering import answer_request
from actors.iopf.state import Request
from clusters.cluster import ActorClass, Role
from protocol.effects import Out
from protocol.messages import ResponseCode
from protocol.names import Call, Name
from tests.defects.stages import Stage


class AnswersEveryRequest(Iopf):
    """I21.  Those that are not the last of their group get an answer, too."""

    __slots__ = ()

    def answer_group(self, number: int, code: ResponseCode, out: Out) -> None:
        for request in self.groups[number].requests[:-1]:
            answer_request(self, request, code, out)
        super().answer_group(number, code, out)


class WaitsForNoWork(Iopf):
    """I26.  A flush that flushes nothing."""

    __slots__ = ()

    def to_wait_for(self, _unit: Name) -> list[Call]:
        return []


class AsksForAnotherTry(Iopf):
    """I25.  A request without a handler might have one later."""

    __slots__ = ()

    def answer_request(self, request: Request, code: ResponseCode, out: Out) -> None:
        answer = ResponseCode.FAILURE if code is ResponseCode.INVALID else code
        super().answer_request(request, answer, out)


class AnswersSuccessAlone(Iopf):
    """I42.  What the mm does not have is no reason to say anything."""

    __slots__ = ()

    def answer_group(self, number: int, code: ResponseCode, out: Out) -> None:
        if code is ResponseCode.SUCCESS:
            super().answer_group(number, code, out)
        else:
            self.unlist(number, out)


def callers(*scripts: tuple[str, ...], schedules: int = 20) -> Stage:
    """Threads of the kernel with these scripts, and one device."""
    tables = [
        f'title = "{scripts[0][-1]}"\nstack = "iommufd"\n[[machine.unit]]\nname = "dmar0"',
        '[[machine.device]]\nname = "d1"\nunit = "dmar0"\npasids = 16',
        f"[callers]\ncount = {len(scripts)}",
    ]
    for number, steps in enumerate(scripts, start=1):
        tables.append(f'[[process]]\nname = "caller{number}"\nsteps = {list(steps)}')
    return Stage("\n".join(tables), schedules)


def asked(group: int, *, last: bool = True) -> str:
    """A driver reports a page request of PASID 1."""
    more = f"group={group} page={group} last={str(last).lower()}"
    return f"report_page_request device=d1 pasid=1 {more}"


ATTACHED: Final = (
    "ioas = alloc_ioas",
    "dev = bind_device device=d1 group=d1",
    "queue = alloc_fault_queue",
    "pt = alloc_hwpt device=$dev pt=$ioas flags=PASID+FAULT_ID_VALID fault=$queue",
    "attach_pt device=$dev pasid=1 pt=$pt",
)
BOUND: Final = ("sva_bind_device device=d1 mm=nobody",)
READ: Final = "read_faults fault=3 room=9 at=caller1.iommufd"
REPLACED: Final = (
    "plain = alloc_hwpt device=$dev pt=$ioas flags=PASID",
    "replace_pt device=$dev pasid=1 pt=$plain",
)

FAULTS: Final[tuple[tuple[str, Stage, dict[Role, ActorClass]], ...]] = (
    (
        "fault-groups-answered-once",
        callers((*BOUND, asked(1, last=False), asked(1))),
        {"iopf": AnswersEveryRequest},
    ),
    (
        "fault-groups-have-one-owner",
        callers((*ATTACHED, asked(1))),
        {"iopf": KeepsWhatItGivesAway},
    ),
    (
        "fault-work-flushed-before-removal",
        callers((*BOUND, asked(1), "flush_iopf_device device=d1")),
        {"iopf": WaitsForNoWork},
    ),
    ("unhandled-faults-are-invalid", callers((asked(1),)), {"iopf": AsksForAnotherTry}),
    (
        "no-fault-under-a-freed-handle",
        callers((*ATTACHED, asked(1), *REPLACED)),
        {"iommufd": AnswersInTheNewQueue},
    ),
    (
        "page-requests-wait-for-no-user",
        callers((*ATTACHED, *map(asked, range(1, 7))), (READ,) * 12, schedules=40),
        {"iommufd": WaitsForTheReader},
    ),
    ("reported-faults-are-answered", callers((*BOUND, asked(1))), {"iopf": AnswersSuccessAlone}),
)
"""A rule, where it is broken, and by whom."""
