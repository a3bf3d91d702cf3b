"""IA32_PASID of the task: what ENQCMD submits with, and asks nobody.

Kernel: load_pasid in drivers/iommu/intel/svm.c (5.10 to 5.17).  §4.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.process.state import Msr, Phase, Waits
from protocol.effects import Out
from protocol.facts import MsrCleared, MsrLoaded
from protocol.messages import Done, LoadMsr
from protocol.names import Name

if TYPE_CHECKING:
    from actors.process import Process


def on_load_msr(process: Process, load: LoadMsr, sender: Name, out: Out) -> None:
    """The IPI to whoever runs the mm; it lands between two instructions."""
    if load.pasid and process.phase in (Phase.RUN, Phase.DYING):
        load_msr(process, Msr(load.pasid, load.incarnation), out)
    elif not load.pasid:
        process.clearing.append((sender, load.call))
        clear_awaited(process, out)
        return
    out.send(sender, Done(load.call))


def load_msr(process: Process, msr: Msr, out: Out) -> None:
    """Valid from here on."""
    process.msr = msr
    out.record(MsrLoaded(process.name, msr.pasid, msr.incarnation))


def clear_awaited(process: Process, out: Out) -> None:
    """PASID_DISABLED for who asked, when no ENQCMD with the old value is on its way."""
    if any(task.waits is Waits.ENQCMD for task in process.tasks.values()):
        return
    for sender, call in process.clearing:
        clear_msr(process, "unbind", out)
        out.send(sender, Done(call))
    process.clearing.clear()


def task_gone(process: Process, out: Out) -> None:
    """It never runs in user mode again (R10)."""
    clear_msr(process, "exit", out)


def clear_msr(process: Process, why: str, out: Out) -> None:
    """Nothing can be submitted with the PASID any more."""
    if process.msr is not None:
        out.record(MsrCleared(process.name, process.msr.pasid, process.msr.incarnation, why))
    process.msr = None
