"""What a process does: scripted steps, or operations drawn from a mix (§7).

Experiment files hold these as text; `experiments.harness.script` reads them into these values.
"""

from msgspec import Struct

from protocol.names import Name, Pasid


class Step(Struct, frozen=True, gc=False):
    """One step of a script.

    `variable` is the PASID variable it sets (alloc) or uses; `owner` the process whose
    variable it is ("" own); `number` a literal host PASID (`#17`) in its place, or the thread of a
    modern process.  `device` is a device of the VM, `count` how often (dma x4); of MANY on how many
    variables, for p those are p1, p2 and so on.  `expect` lists the
    outcomes allowed (`ok` or errno names), empty for any.  `wait` false starts it and goes on
    (`async`).  `text` is the step as written.  `arguments`: of a caller, the fields of its message
    as text.
    """

    operation: str
    variable: str = ""
    owner: Name = ""
    number: Pasid = 0
    device: Name = ""
    count: int = 1
    expect: tuple[str, ...] = ()
    wait: bool = True
    text: str = ""
    arguments: tuple[tuple[str, str], ...] = ()


class Plan(Struct, frozen=True):
    """A process's work: `steps` in order; then, if `operations` is not 0, draws from `mix`.

    `mix` gives each operation a weight.  `misbehave` names what the process may do that a good one
    does not: `free-before-unbind`, `unbind-with-dma`, `double-free`, `late-unbind`, `no-response`,
    `foreign-pasid`.  `tell` lists (variable, process): after an alloc into the variable the process
    is told it, because its script names it; if there is none, that it stands for nothing.
    `forked`: of a process of the host, that it begins when another forks it.
    """

    steps: tuple[Step, ...] = ()
    operations: int = 0
    mix: dict[str, int] = {}
    misbehave: tuple[str, ...] = ()
    tell: tuple[tuple[str, Name], ...] = ()
    forked: bool = False


OPERATIONS: dict[str, str] = {
    "alloc": "a PASID from VFIO into a variable",
    "bind": "the guest's page table to the PASID, on every device of the device's group",
    "unbind": "undo bind",
    "free": "give the PASID back to VFIO",
    "dma": "submit descriptors that touch mapped pages (ENQCMD, or the dedicated WQ's portal)",
    "fault": "submit a descriptor that touches an absent page, so that the device asks for it",
    "enable": "enable the virtual WQ of the device (a dedicated one with the PASID)",
    "disable": "disable the virtual WQ",
    "drain": "drain the virtual WQ",
    "reset": "reset the virtual device",
    "ims": "write the PASID to the device's interrupt message storage",
    "unims": "clear it",
    "portal": "submit as dma does, by the slow path: the VDCM traps the command (migration)",
    "exit": "QEMU ends: all its files are closed, in any order",
    "free-all": "give back every PASID of the process, through whichever container it is used",
    "open-vm": "the VM's first vCPU only now: a script that has it does not open KVM at boot",
}
"""The operations of a guest, with what each does."""

MANY: tuple[str, ...] = ("alloc", "bind", "unbind", "free")
"""Operations of a guest that a script can say of so many variables at once."""

SCRIPTED: tuple[str, ...] = ("free-all", "open-vm")
"""Operations that only a script has: nobody draws them."""

PROCESS_OPERATIONS: dict[str, str] = {
    "open": "open the device and map its portal",
    "bind": "bind the file to the process's own mm, and enable a WQ for it",
    "dma": "submit descriptors that touch mapped pages (ENQCMD, or the dedicated WQ's portal)",
    "fault": "submit a descriptor that touches an absent page, so that the device asks for it",
    "unbind": "stop DMA and undo bind",
    "close": "unmap the portal and close the file, its own or an inherited one",
    "fork": "the child begins, with the descriptors and a new mm",
    "kill": "SIGKILL to another process",
    "exit": "do_exit: what is open is closed by the kernel, after the address space has gone",
}
"""The operations of a process of the host, with what each does."""

SVA_OPERATIONS: dict[str, str] = {
    "open": "open the device, which binds it to the process's mm, and map its portal",
    "map": "map the portal of a file that is open, its own or an inherited one",
    "poll": "poll a file that is open",
    "remap": "move the mapping of a portal (mremap)",
    "start": "start the queue (uacce)",
    "put": "put the queue, which stops it for good (uacce)",
    "write": "have the driver submit descriptors (idxd)",
    "close": "unmap the portal and close the file that was opened last",
    "dma": "submit descriptors that touch mapped pages (ENQCMD, or the dedicated WQ's portal)",
    "fault": "submit a descriptor that touches an absent page, so that the device asks for it",
    "stray": "submit a descriptor that touches what the process has not mapped at all",
    "unmap": "munmap the first pages, so that nobody may have them cached",
    "upgrade": "give more permission, so that nobody may have the old one cached",
    "clone": "another thread of the same mm: t2, t3 and so on",
    "fork": "the child begins, with the descriptors and a new mm",
    "exec": "a new mm; the other threads die, and the descriptors are closed",
    "kill": "SIGKILL to another process",
    "exit": "do_exit of the process, or of another thread than the first alone",
}
"""The operations of a process of a modern kernel, with what each does."""

MISBEHAVIOURS: dict[str, str] = {
    "free-before-unbind": "frees a PASID that is still bound",
    "unbind-with-dma": "unbinds while its descriptors are in the device",
    "double-free": "frees a PASID again after freeing it",
    "late-unbind": "unbinds a PASID after freeing it",
    "no-response": "now and then does not answer a page request",
    "foreign-pasid": "now and then names a PASID that is not its own",
}
