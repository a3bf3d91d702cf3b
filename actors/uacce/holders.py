"""Files of an accelerator: who holds one, and that it is released with its last holder.

Kernel: struct file and its f_count; fork's copy of the descriptors; VM_DONTCOPY of the portal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.uacce.state import File
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import FileDropped, FileHeld
from protocol.messages import DupFiles, PutFile, ReleaseFds
from protocol.names import Name

if TYPE_CHECKING:
    from actors.uacce import Uacce


def on_open_file(door: Uacce, sender: Name, out: Out) -> None:
    """A descriptor and a mapping of the portal, which a child does not get (VM_DONTCOPY)."""
    if sender in door.files:
        door.end(out, Errno.EBUSY)
        return
    door.files = dict(sorted([*door.files.items(), (sender, File([sender]))]))
    out.record(FileHeld(door.device, sender, sender))
    door.end(out)


def on_put_file(door: Uacce, put: PutFile, sender: Name, out: Out) -> None:
    """The sender's own file, or one that it has inherited."""
    held = [one for one, file in door.files.items() if sender in file.holders]
    opener = sender if put.mapping or sender in held else next(iter(held), sender)
    door.opener = opener
    if opener in door.files:
        door.drop(opener, sender, out, mapping=put.mapping)
    else:
        door.end(out)


def on_release_fds(door: Uacce, release: ReleaseFds, out: Out) -> None:
    """Descriptors that a process leaves behind, one after the other; it has no mapping left."""
    if release.vm not in door.gone:
        door.gone = sorted([*door.gone, release.vm])
    held = [one for one, file in door.files.items() if release.vm in file.holders]
    if not held:
        door.end(out)
        return
    door.opener = held[0]
    door.drop(held[0], release.vm, out, mapping=False)


def on_dup_files(door: Uacce, dup: DupFiles, sender: Name, out: Out) -> None:
    """Nothing goes to a child that has died meanwhile."""
    if dup.child in door.gone:
        door.end(out, Errno.EINVAL)
        return
    for opener, file in door.files.items():
        if sender in file.holders and dup.child not in file.holders:
            file.holders = sorted([*file.holders, dup.child])
            out.record(FileHeld(door.device, opener, dup.child))
    door.end(out)


def drop(door: Uacce, opener: Name, holder: Name, out: Out, *, mapping: bool) -> None:
    """With the last one the file is released."""
    file = door.files[opener]
    if mapping:
        file.mapped = False
    elif holder in file.holders:
        file.holders.remove(holder)
        out.record(FileDropped(door.device, opener, holder))
    if file.holders or file.mapped:
        door.end(out)
    elif file.bond is None:
        door.release(out)
    else:
        door.stop_dma(out, abort=True)
