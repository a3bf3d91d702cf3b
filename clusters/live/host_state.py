"""What a host is behind its last journalled input, as bytes: the snapshot that bounds its recovery.

Everything that reliving the journal would come to, and nothing else: what leaves again, and what
the peers have, is found out as after any recovery.
"""

from typing import Final

import msgspec
from msgspec import Struct

from clusters.host import Host
from clusters.live.chance import LiveChance
from clusters.live.link import Incoming, Letter, Outgoing
from clusters.live.mail import Mail
from clusters.live.post import LinkName
from protocol.errors import UnreadableError
from protocol.names import Name

STATE_FORMAT: Final = 1


class Sending(Struct, frozen=True, array_like=True):
    """A link's sending end: its messages from number `first` on."""

    source: Name
    destination: Name
    first: int
    waiting: tuple[Letter, ...]


class Post(Struct, frozen=True, array_like=True):
    """All links of the host: `here` says whose `Start` has come, `fences` who knows whose loss."""

    here: dict[Name, bool]
    outgoing: tuple[Sending, ...]
    incoming: tuple[tuple[Name, Name, int], ...]
    epochs: dict[Name, int]
    fences: tuple[tuple[Name, Name], ...]
    lost: tuple[Name, ...]


class Luck(Struct, frozen=True, array_like=True):
    """How often chance was asked at each actor's sites, and how many steps each fault failed."""

    passages: tuple[tuple[Name, str, int], ...]
    failed: tuple[int, ...]


class HostState(Struct, frozen=True, array_like=True):
    """All of it; `actors` by name: number of inputs and state."""

    format: int
    actors: dict[Name, tuple[int, bytes]]
    timers: tuple[tuple[Name, str], ...]
    outcomes: dict[str, int]
    post: Post
    luck: Luck


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(HostState).decode


def state_bytes(
    hosts: dict[Name, Host],
    mail: Mail,
    chance: LiveChance,
    timers: dict[tuple[Name, str], None],
    outcomes: dict[str, int],
) -> bytes:
    """The state between two turns."""
    actors = {name: (host.n, host.snapshot()) for name, host in hosts.items()}
    luck = Luck(
        tuple((*passage, count) for passage, count in chance.passages.items()),
        tuple(chance.failed),
    )
    return _encode(HostState(STATE_FORMAT, actors, tuple(timers), outcomes, _post(mail), luck))


def read_state(data: bytes, hosts: dict[Name, Host], chance: LiveChance) -> HostState:
    """The state in `data`, if it is one that these actors and these faults can have."""
    try:
        state = _decode(data)
        if state.format != STATE_FORMAT:
            raise UnreadableError(f"a state of format {state.format}; this is {STATE_FORMAT}")
        for name, (_, actor) in state.actors.items():
            if name not in hosts:
                raise UnreadableError(f"'{name}' is not an actor of this host")
            msgspec.msgpack.decode(actor, type=type(hosts[name].actor))
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"not the state of this host: {error}") from error
    if len(state.luck.failed) != len(chance.faults):
        raise UnreadableError(f"its faults are {len(state.luck.failed)}, not {len(chance.faults)}")
    return state


def put_state(state: HostState, hosts: dict[Name, Host], mail: Mail, chance: LiveChance) -> None:
    """Actors, links and chance as they were; actors that were lost by then are gone."""
    for name in list(hosts):
        if name in state.actors:
            n, actor = state.actors[name]
            hosts[name].restore(actor, n)
        else:
            del hosts[name]
    chance.passages = {(actor, site): count for actor, site, count in state.luck.passages}
    chance.failed = list(state.luck.failed)
    post = state.post
    mail.here = dict(post.here)
    for sending in post.outgoing:
        outgoing = mail.outgoing[LinkName(sending.source, sending.destination)] = Outgoing()
        outgoing.first, outgoing.sent = sending.first, sending.first - 1
        outgoing.waiting.extend(sending.waiting)
    for source, destination, received in post.incoming:
        mail.incoming[LinkName(source, destination)] = Incoming(received)
    mail.epochs.newest = dict(post.epochs)
    mail.fences = {LinkName(*link): None for link in post.fences}
    mail.lost = dict.fromkeys(post.lost)


def _post(mail: Mail) -> Post:
    return Post(
        here=mail.here,
        outgoing=tuple(
            Sending(*link, one.first, tuple(one.waiting)) for link, one in mail.outgoing.items()
        ),
        incoming=tuple((*link, one.received) for link, one in mail.incoming.items()),
        epochs=mail.epochs.newest,
        fences=tuple(mail.fences),
        lost=tuple(mail.lost),
    )
