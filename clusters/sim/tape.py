"""A schedule as a value: a strategy with its seed, and the choices it made.

A choice is named by what it is, not by its place in a list, so that a tape still means something
when the code has changed.  While a world runs its choices are small numbers (`Book`); names are
made when somebody wants to read them.  A seed alone is a short token, choices are a JSON file.

The token of a run that is known says a little more: by which code and experiment it was made, and
some bytes of what came of it, so that one who pastes it elsewhere is told when it comes out
differently, and where.
"""

import base64
import binascii
import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from clusters.links import is_link
from protocol.errors import UnreadableError

TAPE_FORMAT: Final = 1
TAPE_BYTES_MAX: Final = 64 << 20
TOKEN_MAX: Final = 160
BARE: Final = 1
"""The format of a token that is strategy and seed, and no more."""
KNOWN: Final = 2
"""The format of the token of a run whose end is known."""
PARTS: Final = 8
"""Parts of a run for which the token of a known run has a byte each."""
COUNT_MAX: Final = (1 << 24) - 1
SEED_MAX: Final = (1 << 64) - 1

Text = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]


class Named(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """A choice, by what it is; in JSON an array that begins with its type's name."""


class Deliver(Named, frozen=True, tag="deliver"):
    """The oldest message of this link is handled next."""

    source: Text
    destination: Text


class Fire(Named, frozen=True, tag="fire"):
    """This timer fires."""

    actor: Text
    timer: Text


class Begin(Named, frozen=True, tag="begin"):
    """A fault begins."""

    fault: Text
    target: Text


class Heal(Named, frozen=True, tag="heal"):
    """It is over."""

    fault: Text
    target: Text


class Draw(Named, frozen=True, tag="draw"):
    """An actor (or a delayed link) drew a number."""

    actor: Text
    value: Count


class Fail(Named, frozen=True, tag="fail"):
    """An actor asked whether a fallible step fails; asked only where a fault plan says it may.

    Or a link, in the place of an actor, whether `site` (a `drop`, a `duplicate`) hits a message.
    """

    actor: Text
    site: Text
    failed: bool


Choice = Deliver | Fire | Begin | Heal | Draw | Fail


def words(choice: Choice) -> str:
    """The words for a choice."""
    match choice:
        case Deliver(source, destination):
            return f"{source} -> {destination}"
        case Fire(actor, timer):
            return f"timer '{timer}' of {actor}"
        case Begin(fault, target):
            return f"{fault} {target}"
        case Heal(fault, target):
            return f"heal {fault} {target}"
        case Draw(actor, value):
            return f"draw {value} for {actor}"
        case Fail(link, fault, failed) if is_link(link):
            return f"{'' if failed else 'no '}{fault} on {link}"
        case Fail(actor, site, failed):
            return f"{'fail' if failed else 'pass'} {site} of {actor}"


class Book:
    """The choices of a world that runs, as numbers.

    An entry from 0 up is a slot of the network, which has its name there; one below 0 is the
    complement of a place in `choices`.
    """

    __slots__ = ("_places", "choices", "entries")

    def __init__(self) -> None:
        self.entries: list[int] = []
        self.choices: list[Choice] = []
        self._places: dict[Choice, int] = {}

    def entry(self, choice: Choice) -> int:
        """The number of a choice that is not a slot, the same one each time."""
        place = self._places.get(choice)
        if place is None:
            place = self._places[choice] = len(self.choices)
            self.choices.append(choice)
        return ~place

    def named(self, slots: Sequence[Choice]) -> tuple[Choice, ...]:
        """All that was chosen, by name."""
        choices = self.choices
        return tuple([slots[entry] if entry >= 0 else choices[~entry] for entry in self.entries])


class Tape(Struct, frozen=True):
    """A schedule.  Without choices, strategy and seed make them again.

    `end` is a hash of all actors at the end, or its first digits ("": not known), so that a replay
    which makes the same choices and does something else is found out.  `known` is what a token
    says of the choices, which are not in it.  The last `loop` choices lead back to where they
    began, so that they can go on for ever; 0: the run has an end.
    """

    strategy: Text
    seed: Annotated[int, Meta(ge=0)]
    choices: tuple[Choice, ...] = ()
    end: Text = ""
    known: "Known | None" = None
    loop: Count = 0

    def token(self, origin: "Origin | None" = None) -> str:
        """Strategy and seed as one short word; and of a run that is known, what it did.

        Then of `origin` git commit and experiment are in it, too.
        """
        name = self.strategy.encode()
        seed = self.seed.to_bytes(8, "big")
        if not self.end:
            return _word(bytes([BARE]) + seed + name)
        known = self.known or known_of(self.choices, len(self.choices))
        origin = origin or known.origin
        source = _bytes(origin.git, 4) + _bytes(origin.experiment, 2)
        made = min(known.count, COUNT_MAX).to_bytes(3, "big") + known.parts
        return _word(bytes([KNOWN]) + seed + source + _bytes(self.end, 4) + made + name)

    def to_json(self, origin: "Origin") -> bytes:
        """The file form, one choice on a line."""
        file = _File(
            format=TAPE_FORMAT,
            **{key: getattr(origin, key) for key in Origin.__struct_fields__},
            strategy=self.strategy,
            seed=self.seed,
            end=self.end,
            loop=self.loop or UNSET,
        )
        head = _encode(file).removesuffix(b"[]}")
        choices = b",\n".join([_encode(choice) for choice in self.choices])
        return head + b"[\n" + choices + b"\n]}\n"


class Origin(Struct, frozen=True):
    """Where a tape comes from: git commit, hash of the experiment, what it shows, at which step.

    Of a token the first digits of commit and experiment, and no more.
    """

    git: Text = ""
    experiment: Text = ""
    property: Text = ""
    step: Count = 0


class Known(Struct, frozen=True):
    """What a token says of a run: how many choices it made, and where it comes from.

    For each of its parts there is a byte that stands for all choices so far.
    """

    count: int
    parts: bytes
    origin: Origin = Origin()

    def ends(self, part: int) -> int:
        """How many choices were made by the end of a part."""
        return self.count * (part + 1) // len(self.parts)


def known_of(choices: Sequence[Choice], count: int) -> Known:
    """The same for these choices, in the parts of a run that made `count`."""
    digest = blake2b(digest_size=1)
    parts, made = bytearray(), 0
    for part in range(PARTS):
        end = count * (part + 1) // PARTS
        for choice in choices[made:end]:
            digest.update(_encode(choice))
        made = end
        parts += digest.digest()
    return Known(count, bytes(parts))


class _Head(Struct, frozen=True):
    """What a tape of any format has."""

    format: int


class _File(Origin, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`ce-1.json`."""

    format: int
    strategy: Text
    seed: Annotated[int, Meta(ge=0)]
    end: Text = ""
    loop: Count | UnsetType = UNSET
    choices: tuple[Choice, ...] = ()


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(_File).decode
_decode_head: Final = msgspec.json.Decoder(_Head).decode


def read_tape(data: bytes, where: str = "tape") -> tuple[Tape, Origin]:
    """The tape of a JSON file; what is not one is refused with its place."""
    if len(data) > TAPE_BYTES_MAX:
        raise UnreadableError(f"{where}: {len(data)} bytes, at most {TAPE_BYTES_MAX} are read")
    try:
        written = _decode_head(data).format
        if written != TAPE_FORMAT:
            raise UnreadableError(
                f"{where}: tape format {written}, this version reads {TAPE_FORMAT}"
            )
        file = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"{where}: not a tape: {error}") from error
    _check_seed(file.seed, where)
    origin = Origin(file.git, file.experiment, file.property, file.step)
    loop = file.loop or 0
    if loop > len(file.choices):
        raise UnreadableError(f"{where}: a loop of {loop} choices, and there are fewer")
    return Tape(file.strategy, file.seed, file.choices, file.end, loop=loop), origin


def read_token(text: str, where: str = "schedule") -> Tape:
    """The tape, without choices, that a token stands for."""
    if len(text) > TOKEN_MAX:
        raise UnreadableError(f"{where}: {len(text)} characters, at most {TOKEN_MAX} are read")
    try:
        data = base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError) as error:
        raise UnreadableError(f"{where}: '{text}' is not a schedule: {error}") from error
    if not data:
        raise UnreadableError(f"{where}: an empty schedule")
    if data[0] not in (BARE, KNOWN):
        raise UnreadableError(
            f"{where}: '{text}' has format {data[0]}, this version reads {BARE} and {KNOWN}"
        )
    body = data[:-2]
    tape, name = Tape("", int.from_bytes(body[1:9], "big")), body[9:]
    if data[0] == KNOWN:
        origin = Origin(_hex(name[:4]), _hex(name[4:6]))
        known = Known(int.from_bytes(name[10:13], "big"), name[13 : 13 + PARTS], origin)
        tape = msgspec.structs.replace(tape, end=name[6:10].hex(), known=known)
        name = name[13 + PARTS :]
    strategy = name.decode("ascii", "replace")
    if not strategy.replace("-", "").isalnum() or _word(body) != text.lower():
        raise UnreadableError(f"{where}: '{text}' is not a whole schedule; a letter may be wrong")
    return msgspec.structs.replace(tape, strategy=strategy)


def schedule_seed(seed: int, index: int) -> int:
    """The seed of the index-th schedule under a seed: far apart, and the same for ever."""
    mixed = (seed + (index + 1) * 0x9E3779B97F4A7C15) & SEED_MAX
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & SEED_MAX
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & SEED_MAX
    return mixed ^ (mixed >> 31)


def _word(body: bytes) -> str:
    """Bytes as one word that finds out when a letter of it is wrong."""
    check = (zlib.crc32(body) & 0xFFFF).to_bytes(2, "big")
    return base64.b32encode(body + check).decode().rstrip("=").lower()


def _bytes(digits: str, count: int) -> bytes:
    """The first bytes that hexadecimal digits stand for; zeros where they are not known."""
    try:
        found = bytes.fromhex(digits[: 2 * count])
    except ValueError:
        found = b""
    return found if len(found) == count else bytes(count)


def _hex(known: bytes) -> str:
    return known.hex() if any(known) else ""


def _check_seed(seed: int, where: str) -> None:
    if seed > SEED_MAX:
        raise UnreadableError(f"{where}: the seed {seed} does not fit into 64 bits")
