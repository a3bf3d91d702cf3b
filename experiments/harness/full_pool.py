"""A program: one core with every PASID alive, or a dict with as many entries; how big, how slow.

`bench` runs it, because only a process of its own can tell how much memory something takes.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Final

from actors.ioasid_core import IoasidCore
from protocol.effects import Out
from protocol.machine import Machine
from protocol.messages import AllocPasid, AllocSet
from protocol.names import CORE, PASID_MIN, VFIO

PAGES: Final = Path("/proc/self/statm")
KILOBYTES: Final = 1024
"""In a megabyte."""


def fill_core(pasids: int) -> object:
    """All in one set, one allocation after the other."""
    core = IoasidCore.of(Machine((), (), (), pasids=pasids), CORE)
    out = Out(CORE)
    core.handle(AllocSet(1, "vm1", pasids), VFIO, out)
    for _ in range(pasids):
        out.effects.clear()
        out.facts.clear()
        core.handle(AllocPasid(1, 1, PASID_MIN, pasids), VFIO, out)
    assert all(core.lives[PASID_MIN:]), "the pool is not full"
    return core


def fill_dict(pasids: int) -> object:
    """The reference."""
    return {pasid: str(pasid) for pasid in range(PASID_MIN, pasids + 1)}


def main(what: str, pasids: int) -> None:
    """One JSON object on stdout."""
    fill = {"core": fill_core, "dict": fill_dict}[what]
    before, began = _kilobytes(), time.process_time()
    kept = fill(pasids)
    seconds, after = time.process_time() - began, _kilobytes()
    assert kept
    said = {"seconds": max(seconds, 1e-6), "megabytes": max(after - before, 1) / KILOBYTES}
    print(json.dumps(said))


def _kilobytes() -> int:
    """What this process has now.

    Not the most that it ever had: that begins with what the process that started it has.
    """
    try:
        pages = int(PAGES.read_text().split()[1])
    except (OSError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return pages * resource.getpagesize() // KILOBYTES


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
