"""The one way to end that only the command line knows; the others are in `protocol.errors`."""

from protocol.errors import PasidlabError


class UnwritableError(PasidlabError):
    """The disk, or the output, does not take what we write: full, read-only, gone.

    What was found stays what it is; only the place to put it is missing.
    """
