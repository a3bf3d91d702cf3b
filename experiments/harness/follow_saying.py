"""How a directed run went: where it was left, if it was, and whether the verdict is the same."""

from clusters.live.live_setup import LiveResult
from experiments.harness.say import Voice, many
from experiments.harness.setup import BROKEN


def strayed_of(live: LiveResult) -> str:
    """Where a directed run was not what the simulator does; "" if it was, or was interrupted."""
    followed = live.followed
    if followed is None or live.interrupted:
        return ""
    if followed.divergence:
        return f"diverged at {followed.divergence}"
    broken = [one.name for one in live.judged.properties if one.word in BROKEN]
    if followed.violated and followed.violated not in broken:
        return f"the simulator violates {followed.violated}, and this history does not"
    if broken and not followed.violated:
        return f"the simulator violates nothing, and this history {broken[0]}"
    return ""


def say_followed(live: LiveResult, voice: Voice) -> None:
    """One line, and where it was left."""
    followed = live.followed
    assert followed is not None
    strayed = strayed_of(live)
    of = f"{followed.steps:,} of {many(followed.of, 'step')}"
    if strayed:
        voice.keyed("followed", of)
        voice.keyed("", strayed)
    elif live.interrupted:
        voice.keyed("followed", f"{of}, then interrupted")
    else:
        same = f", and violated {followed.violated}" if followed.violated else ""
        voice.keyed("followed", f"{of}: each did what it does in the simulator{same}")
