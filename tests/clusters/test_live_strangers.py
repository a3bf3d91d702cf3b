"""Bytes from outside, handed to a live host: each is refused, and nothing changes."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from clusters.live.live_host import LiveHost
from clusters.live.seal import Seal
from protocol.messages import HostLost, Start, Told
from protocol.names import SUPERVISOR
from protocol.wire import FRAME_BYTES_MAX, WIRE_FORMAT, Frame, encode
from tests.live.without_ray import TWO_HOSTS, Wire, assert_whole, sealed, started

FAR = 10_000


def a_frame(rng: Random, **changes: object) -> Frame:
    told = Told("ring", rng.randint(1, FAR), 0, 0)
    fields: dict[str, object] = {
        "epoch": 1, "source": "c", "destination": "b", "sequence": rng.randint(1, FAR),
        "acknowledged": 0, "id": (1, 1), "cause": ("", 0, 0), "body": told, **changes,
    }  # fmt: skip
    return Frame(WIRE_FORMAT, **fields)  # type: ignore[arg-type]


def flipped(rng: Random) -> bytes:
    data = bytearray(sealed(a_frame(rng)))
    for at in rng.sample(range(len(data)), rng.randint(1, 4)):
        data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def truncated(rng: Random) -> bytes:
    data = sealed(*[a_frame(rng) for _ in range(rng.randint(1, 3))])
    return data[: rng.randrange(len(data))]


def of_another_run(rng: Random) -> bytes:
    return Seal(f"run {rng.random()}").close(encode(a_frame(rng)))


def unsealed(rng: Random) -> bytes:
    return encode(a_frame(rng, epoch=rng.randint(1, FAR)))


def noise(rng: Random) -> bytes:
    return rng.randbytes(rng.randint(0, 200))


def old_epoch(rng: Random) -> bytes:
    return sealed(a_frame(rng, epoch=0))


def astray(rng: Random) -> bytes:
    """Sealed, and of a source or to a destination that cannot be."""
    whom = rng.choice(
        [("c", "d"), ("c", "nobody"), ("nobody", "a"), ("a", "b"), ("b", "a"), ("d", SUPERVISOR)]
    )
    epoch = rng.randint(1, FAR)
    return sealed(a_frame(rng, source=whom[0], destination=whom[1], epoch=epoch))


def oversized(rng: Random) -> bytes:
    told = Told("x" * rng.randint(1_025, 4_000), 1, 0, 0)
    return sealed(a_frame(rng, body=told))


def huge(rng: Random) -> bytes:
    """Announces more than it has, and more than is read."""
    return Seal().close(b"\xdd" + rng.randint(FRAME_BYTES_MAX, 1 << 31).to_bytes(4) + b"\x01" * 9)


STRANGERS: list[Callable[[Random], bytes]] = [
    flipped, truncated, of_another_run, unsealed, noise, old_epoch, astray, oversized, huge,
]  # fmt: skip


def everything(live: LiveHost) -> tuple[object, ...]:
    """All that a host is, but for what it counts of refusals."""
    mail = live.mail
    return (
        live.hashes(),
        {link: (one.received, one.told, one.asked) for link, one in mail.incoming.items()},
        {link: (one.first, one.sent, one.requests) for link, one in mail.outgoing.items()},
        dict(mail.epochs.newest),
        mail.unacknowledged,
        live.journal.epoch,
        live.failure,
        live.fenced,
        live.timers,
        list(mail.local),
    )


@pytest.mark.parametrize("greets", [False, True], ids=["frames", "hello"])
def test_err_ten_thousand_frames_from_outside_are_each_refused_and_change_nothing(
    tmp_path: Path, greets: bool
) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    for _ in range(150):
        wire.step()
    live = wire.hosts["left"]
    live.tick(wire.now)
    before, rng = everything(live), Random(11)
    calls = {pair: len(made) for pair, made in wire.calls.items()}
    refused = 0
    makers = [one for one in STRANGERS if not greets or one not in (old_epoch, astray)]
    for k in range(10_000):
        data = makers[k % len(makers)](rng)
        if greets:
            live.hello("right", data, asks=True)
        else:
            live.take(data)
        counts = live.mail.counts
        now = sum(counts.get(one, 0) for one in ("refused", "refused_epoch", "refused_link"))
        assert now > refused, (makers[k % len(makers)].__name__, data)
        refused = now
        assert k % 500 or everything(live) == before
    assert everything(live) == before
    assert {pair: len(made) for pair, made in wire.calls.items()} == calls
    wire.run()
    assert_whole(wire)


def test_a_batch_that_opens_is_taken_frame_by_frame(tmp_path: Path) -> None:
    """What is right in it counts, and what is beside it is refused."""
    wire = Wire(tmp_path, TWO_HOSTS)
    starts = [
        Frame(WIRE_FORMAT, 1, SUPERVISOR, actor, 1, 0, (0, 0), ("", 0, 0), Start())
        for actor in ("a", "nobody", "b")
    ]
    wire.hosts["left"].take(sealed(*starts))
    inputs = wire.hosts["left"].status().inputs
    assert (inputs["a"] > 0, inputs["b"] > 0) == (True, True)
    assert wire.hosts["left"].mail.counts["refused_link"] == 1


def test_the_lost_are_still_told_apart_from_those_who_never_were(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    for _ in range(100):
        wire.step()
    wire.lose("b")
    lost = Frame(WIRE_FORMAT, 1, SUPERVISOR, "b", 9, 0, (0, 0), ("", 0, 0), HostLost("x"))
    wire.hosts["left"].take(sealed(lost))
    assert "refused_link" not in wire.hosts["left"].mail.counts
    wire.run()
