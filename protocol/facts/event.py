"""What every fact is."""

from msgspec import Struct


class Event(Struct, frozen=True, tag_field="event", tag=True, gc=False):
    """A fact; the tag is its dotted event name."""
