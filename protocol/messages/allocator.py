"""What mainline's allocator is asked besides: private data, getters, custom allocators (§3).

Source: include/linux/ioasid.h of Linux 5.5 to 6.1.  A custom allocator's helper functions and a
getter are actors of their own: the core asks them, and its caller waits for their answer.
"""

from protocol.messages.common import Message
from protocol.messages.core import AllocPasid, FindPasid
from protocol.names import Call, Incarnation, Name, Pasid


class AllocPasidWithData(AllocPasid, frozen=True, tag=True):
    """ioasid_alloc with a private pointer: as AllocPasid."""

    data: int


class SetData(Message, frozen=True, tag=True):
    """ioasid_set_data: another private pointer, whatever was there; ENOENT unknown."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation
    data: int


class FindPasidWithGetter(FindPasid, frozen=True, tag=True):
    """ioasid_find with a getter: as FindPasid, but NO_DATA if `getter` says no."""

    getter: Name


class CallGetter(Message, frozen=True, tag=True):
    """core -> getter: is `data` still valid?  For the find `call` of `asker`."""

    asker: Name
    call: Call
    data: int


class GetterReturned(Message, frozen=True, tag=True):
    """getter -> core: the answer, for that find."""

    asker: Name
    call: Call
    valid: bool


class RegisterAllocator(Message, frozen=True, tag=True):
    """ioasid_register_allocator: EAGAIN with default numbers out, EEXIST.

    `allocator` names the struct of its maker; those with the same `helpers` share one space, and
    `data` is what the helpers are called with.
    """

    call: Call
    allocator: Name
    helpers: Name
    data: int


class UnregisterAllocator(Message, frozen=True, tag=True):
    """ioasid_unregister_allocator: always Done, also if it was not registered."""

    call: Call
    allocator: Name
    helpers: Name


class CustomAlloc(Message, frozen=True, tag=True):
    """core -> helpers: a number in [min, max], under the allocator's lock; -> CustomAllocGot."""

    call: Call
    min: Pasid
    max: Pasid
    data: int


class CustomAllocGot(Message, frozen=True, tag=True):
    """The helper's number, INVALID_PASID if it has none."""

    call: Call
    pasid: Pasid


class CustomFree(Message, frozen=True, tag=True):
    """core -> helpers: the number is not needed any more, under the lock; -> CustomFreed."""

    call: Call
    pasid: Pasid
    data: int


class CustomFreed(Message, frozen=True, tag=True):
    """The helper has returned."""

    call: Call
