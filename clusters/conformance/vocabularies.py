"""Which of our actors a trace is about, and the calls as messages of that actor."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from clusters.cluster import Actor, ActorClass, Role
from clusters.conformance import sva, sva_library
from clusters.conformance.attach import ARGS, AttachCalls
from clusters.conformance.below_sva import AttachBelowSva
from clusters.conformance.calls import Call
from clusters.conformance.ioasid import IoasidCalls
from clusters.conformance.iommufd import IommufdCalls, is_iommufd
from clusters.conformance.machine import TraceMachine
from clusters.conformance.operations import Vocabulary
from clusters.conformance.reading import Lines
from clusters.conformance.sva import SvaCalls
from clusters.conformance.sva_library import IoasidBelowSva, SvaLibraryCalls

OLDEST: Final = "linux-6.1"
SIGNS: Final = {
    "linux-6.1": ("ioasid_alloc", "ioasid_find", "iommu_sva_alloc_pasid"),
    "linux-6.12": ("remove_dev_pasid", "iopt_table_add_domain"),
    "linux-7.3": ("iommu_replace_device_pasid", "olddom=", '"old":'),
}
"""Words that only a trace of that kernel has."""
WEAK: Final = {
    "iommu_attach_device_pasid": "linux-7.3",
    "iommu_sva_bind_device": "linux-6.12",
}
"""If there is nothing else: of several kernels, the newest that was recorded."""
LINES_LOOKED_AT: Final = 20_000


class Traced(Vocabulary, Protocol):
    """The calls of one trace on one machine."""

    def actor(self, kind: ActorClass) -> Actor:
        """The actor as it is before the first call."""

    def missing(self, kind: ActorClass, calls: Iterable[Call]) -> Counter[str]:
        """The calls that need what this actor does not have, counted by name."""

    def own(self, calls: Sequence[Call]) -> Sequence[Call]:
        """The calls of the trace as operations and what they ask outwards."""

    def gaps(self, calls: Iterable[Call]) -> str:
        """Why a trace cannot be judged although all its calls are known; empty: it can."""


class Part(Struct, frozen=True):
    """The calls of a trace that one of our actors is held against."""

    role: Role
    vocabulary: Traced
    calls: list[Call]


def parts_of(calls: Sequence[Call], machine: TraceMachine) -> list[Part]:
    """SVA stands above the others; else it is the actor that most of the calls are about."""
    if is_iommufd(calls):
        context = IommufdCalls(machine, calls)
        return [Part("iommufd", context, context.own(calls))]
    seen = Counter(call.call for call in calls)
    if any(seen[name] for name in sva.CALLS):
        bonds, attach = SvaCalls(machine, calls), AttachBelowSva(machine, calls)
        return [
            Part("sva", bonds, bonds.own(calls)),
            Part("iommu_core", attach, attach.own(calls)),
        ]
    if any(seen[name] for name in sva_library.CALLS):
        library, below = SvaLibraryCalls(machine, calls), IoasidBelowSva(machine, calls)
        return [
            Part("sva", library, library.own(calls)),
            Part("core", below, below.own(calls)),
        ]
    of_iommu = sum(count for name, count in seen.items() if name in ARGS)
    if of_iommu > sum(count for name, count in seen.items() if name in IoasidCalls.calls):
        return [Part("iommu_core", AttachCalls(machine, calls), list(calls))]
    return [Part("core", IoasidCalls(machine, calls), list(calls))]


def likely_kernel(trace: Path) -> str:
    """The revision whose kernel the trace looks like: by its words, before it is read."""
    found = OLDEST
    for at, line in enumerate(Lines(trace)):
        for kernel, words in SIGNS.items():
            if any(word in line for word in words):
                return kernel
        if found == OLDEST:
            found = next((kernel for word, kernel in WEAK.items() if word in line), OLDEST)
        if at >= LINES_LOOKED_AT:
            break
    return found
