"""Whose thread a task runs in, where one actor calls another with its locks held (§1.7)."""

from protocol.facts.event import Event


class ThreadEntered(Event, frozen=True, tag="thread.entered"):
    """any: from here on `task` runs in the thread of `caller/call`, with the locks that it has."""

    task: str
    thread: str
