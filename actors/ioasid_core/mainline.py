"""The core as mainline had it: private data from alloc on, getters, custom allocators.

Nobody owns a number but by having it: whoever frees it frees it, and a set is only an address that
find compares.  Without a custom allocator a number is the smallest of its range.

Kernel: drivers/iommu/ioasid.c of Linux 5.5 to 6.1.  §3.2, §3.3.
"""

from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from actors.ioasid_core import Inbox, IoasidCore
from actors.ioasid_core.custom_allocators import (
    LOCKED,
    Allocator,
    Holder,
    Waiter,
    ask_for_number,
    ask_to_free,
    on_custom_alloc_got,
    on_custom_freed,
    register_allocator,
    register_refusal,
    unregister_allocator,
)
from actors.ioasid_core.pool import NONE_FREE
from actors.ioasid_core.state import (
    ALLOC_NOSPC,
    IoasidSet,
    Life,
    Notice,
    Transition,
    find_life,
    life_of,
    record_set_use,
)
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import DataAttached
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    AllocPasidWithData,
    CallGetter,
    CustomAllocGot,
    CustomFreed,
    Done,
    FindPasid,
    FindPasidGot,
    FindPasidWithGetter,
    FreePasid,
    GetterReturned,
    Refused,
    RegisterAllocator,
    SetData,
    SetKind,
    UnregisterAllocator,
)
from protocol.names import NO_DATA, NO_SET, Call, Name, Pasid

MainlineInbox: TypeAlias = (
    Inbox
    | SetData
    | RegisterAllocator
    | UnregisterAllocator
    | CustomAllocGot
    | CustomFreed
    | GetterReturned
)


@dataclass(slots=True)
class MainlineCore(IoasidCore):
    """`holder` has the lock while a helper runs, and `waiting` wait for it.

    `allocators` are the custom ones, the active one first; `getting` has what the getter of a find
    was shown, by asker and call.
    """

    RECALLS_NOT: ClassVar[str] = "the core does not know whose a reference is"

    allocators: list[Allocator] = field(default_factory=list)
    holder: Holder | None = None
    waiting: list[Waiter] = field(default_factory=list)
    getting: dict[tuple[Name, Call], int] = field(default_factory=dict)

    def handle(self, message: MainlineInbox, sender: Name, out: Out) -> None:
        """What needs the lock waits for it; then the messages that mainline has more."""
        if self.holder is not None and isinstance(message, LOCKED):
            self.waiting.append(Waiter(sender, message))
            return
        match message:
            case SetData():
                self.on_set_data(message, sender, out)
            case GetterReturned():
                self.on_getter_returned(message, out)
            case CustomAllocGot():
                self.on_custom_alloc_got(message, sender, out)
            case CustomFreed():
                self.on_custom_freed(message, sender, out)
            case RegisterAllocator():
                self.on_register_allocator(message, sender, out)
            case UnregisterAllocator():
                self.on_unregister_allocator(message, sender, out)
            case _:
                super(MainlineCore, self).handle(message, sender, out)

    def on_alloc_pasid(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
        """A set needs no call to be there, and has no quota of its own."""
        if alloc.set not in self.sets:
            self.sets[alloc.set] = IoasidSet(SetKind.NULL, "", self.capacity)
        record_set_use(alloc.set, out)
        if self.allocators:
            ask_for_number(self, alloc, sender, out)
            return
        pasid = self.number_for(alloc)
        if pasid == NONE_FREE or out.may_fail(ALLOC_NOSPC) is not None:
            self.refuse_alloc(alloc, sender, out)
        else:
            self.give(pasid, alloc, sender, out)

    def give(self, pasid: Pasid, alloc: AllocPasid, sender: Name, out: Out) -> None:
        """The number is the caller's, and its private data is there from the first moment on."""
        incarnation = self.allocate(pasid, alloc.set, sender, out)
        if isinstance(alloc, AllocPasidWithData) and alloc.data != NO_DATA:
            life_of(self, pasid).data = alloc.data
            out.record(DataAttached(pasid, incarnation, alloc.data, NO_DATA))
        self.notify(pasid, Notice(Transition.ALLOC), out)
        out.send(sender, AllocPasidGot(alloc.call, pasid, incarnation))

    def on_free_pasid(self, free: FreePasid, sender: Name, out: Out) -> None:
        """A number that is not out is not the helper's affair."""
        if self.allocators and find_life(self, free.pasid) is not None:
            ask_to_free(self, free, sender, out)
        else:
            super(MainlineCore, self).on_free_pasid(free, sender, out)

    def may_free(self, _life: Life, _number: int) -> bool:
        """Whoever asks: free has no set to compare."""
        return True

    def on_set_data(self, data: SetData, sender: Name, out: Out) -> None:
        """What was there is replaced; the caller waits for its readers, not the core."""
        life = find_life(self, data.pasid)
        if life is None:
            out.send(sender, Refused(data.call, Errno.ENOENT))
            return
        out.record(DataAttached(data.pasid, life.incarnation, data.data, life.data))
        life.data = data.data
        out.send(sender, Done(data.call))

    def on_find_pasid(self, find: FindPasid, sender: Name, out: Out) -> None:
        """The getter sees what find would return, and says whether it may."""
        life = find_life(self, find.pasid)
        if (
            not isinstance(find, FindPasidWithGetter)
            or life is None
            or find.set not in (NO_SET, life.set)
        ):
            super(MainlineCore, self).on_find_pasid(find, sender, out)
            return
        self.getting[sender, find.call] = life.data
        out.send(find.getter, CallGetter(sender, find.call, life.data))

    def on_getter_returned(self, said: GetterReturned, out: Out) -> None:
        """The number may be gone by now: what find looked up is what it returns."""
        data = self.getting.pop((said.asker, said.call))
        out.send(said.asker, FindPasidGot(said.call, data if said.valid else NO_DATA))

    def on_register_allocator(self, register: RegisterAllocator, sender: Name, out: Out) -> None:
        """EAGAIN or EEXIST, or it is on the list."""
        errno = register_refusal(self, register)
        if errno is not None:
            out.send(sender, Refused(register.call, errno))
            return
        register_allocator(self, register)
        out.send(sender, Done(register.call))

    def on_unregister_allocator(self, gone: UnregisterAllocator, sender: Name, out: Out) -> None:
        """Nothing to say to who was not registered."""
        unregister_allocator(self, gone, out)
        out.send(sender, Done(gone.call))

    on_custom_alloc_got = on_custom_alloc_got
    on_custom_freed = on_custom_freed
