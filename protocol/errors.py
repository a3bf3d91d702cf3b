"""The errno values a refusal carries, and the errors that end a run (style: four kinds.

Never mixed).
"""

from collections.abc import Iterable
from difflib import get_close_matches
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
    ESPIPE = "ESPIPE"
    EBADF = "EBADF"
    EPROBE_DEFER = "EPROBE_DEFER"


def nearest(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'x'?` when something is near, else an empty string."""
    close = get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else ""


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
