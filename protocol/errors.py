"""The errno values a refusal carries, and the errors that end a run (style: four kinds.

Never mixed).
"""

from enum import Enum


class Errno(Enum):
    """A refusal's errno, spelled as the kernel spells it."""

    EPERM = "EPERM"
    ENOENT = "ENOENT"
    ENXIO = "ENXIO"
    EAGAIN = "EAGAIN"
    ENOMEM = "ENOMEM"
    EACCES = "EACCES"
    EFAULT = "EFAULT"
    EBUSY = "EBUSY"
    EEXIST = "EEXIST"
    ENODEV = "ENODEV"
    EINVAL = "EINVAL"
    ENOSPC = "ENOSPC"
    ENOTSUPP = "ENOTSUPP"
    EOPNOTSUPP = "EOPNOTSUPP"
    ETIMEDOUT = "ETIMEDOUT"
    ECANCELED = "ECANCELED"
    EIO = "EIO"
    EOVERFLOW = "EOVERFLOW"


class PasidlabError(Exception):
    """Something that ends a run and is said to the user in one sentence."""


class ExperimentError(PasidlabError):
    """The user's file or option is wrong: says file, place, rule and the nearest right spelling."""


class IncompleteError(PasidlabError):
    """A stored journal or history is readable but not whole: what is missing, and from where on."""


class UnreadableError(PasidlabError):
    """Bytes from outside that are not what they should be: what, where, why.

    Nothing else is lost.
    """


class DivergedError(PasidlabError):
    """A replay or re-execution did not do what was recorded.

    Usual causes: the code changed, a set decided an order, something below `clusters` read a clock
    or chance.  The sentence names the first step that differs.
    """


class ClusterError(PasidlabError):
    """The cluster failed, not the protocol: Ray unreachable, a host lost beyond the plan."""
