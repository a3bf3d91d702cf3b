"""Where an iommufd context may be refused memory, and where a look-up may be made to fail."""

from typing import Final

from protocol.effects import Site
from protocol.errors import Errno

OBJECT: Final = Site("iommufd.object.alloc", Errno.ENOMEM)
LOOK: Final = Site("iommufd.object.look", Errno.ENOENT)
"""CONFIG_IOMMUFD_TEST: a look-up fails as if nothing were there."""
RECORD: Final = Site("iommufd.attach.record", Errno.ENOMEM)
HANDLE: Final = Site("iommufd.attach.handle", Errno.ENOMEM)
MAP: Final = Site("iommufd.hwpt.map", Errno.ENOMEM)
"""The IOAS's mappings go into a new page table."""
MOCK: Final = Site("iommufd.mock.create", Errno.ENOMEM)
BIND: Final = Site("iommufd.device.bind", Errno.EINVAL)
"""A device without an IOMMU (its probe failed) is not cache coherent, as far as can be seen."""

FILE: Final = Site("iommufd.fault.file", Errno.ENOMEM)
"""A fault queue has no file, or its user does not get to know of it."""
COOKIE: Final = Site("iommufd.fault.cookie", Errno.ENOMEM)
COPY: Final = Site("iommufd.fault.copy", Errno.EFAULT)
"""The user's memory is not there."""

SITES: Final = (OBJECT, LOOK, RECORD, HANDLE, MAP, MOCK, BIND, FILE, COOKIE, COPY)
