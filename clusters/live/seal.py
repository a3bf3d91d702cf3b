"""A seal on what hosts tell each other: damaged bytes, or those of another run, do not open.

Behind each batch of frames stand eight bytes that only who knows the run's key computes from it.
This keeps strangers and damage out; who may read the memory of a host is not kept out by it.
"""

from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from protocol.errors import UnreadableError

SEAL_BYTES: Final = 8


class Seal:
    """`secret` is what all hosts of one run know and nobody else does."""

    def __init__(self, secret: str = "") -> None:
        self._key = blake2b(secret.encode()).digest()

    def close(self, data: bytes) -> bytes:
        """The same bytes, sealed."""
        return data + self._of(data)

    def open(self, sealed: bytes, where: str) -> bytes:
        """What was sealed, if all of it is as it was."""
        data, said = sealed[:-SEAL_BYTES], sealed[-SEAL_BYTES:]
        if not compare_digest(said, self._of(data)):
            raise UnreadableError(
                f"{where}: {len(sealed)} bytes with a broken seal: damaged, or not of this run"
            )
        return data

    def _of(self, data: bytes) -> bytes:
        return blake2b(data, digest_size=SEAL_BYTES, key=self._key).digest()
