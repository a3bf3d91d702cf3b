"""What every fact is."""

from msgspec import Struct


class Event(Struct, frozen=True, tag_field="event", tag=True):
    """A fact; the tag is its dotted event name."""
