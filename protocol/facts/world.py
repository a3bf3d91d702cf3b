"""What the world itself states: deliveries, hosts, faults, verdicts.  Same names in both worlds."""

from protocol.facts.event import Event
from protocol.machine import Machine
from protocol.names import Name

Scalar = str | int | bool | None


class RunStarted(Event, frozen=True, tag="run.started"):
    """First record of a history: what was run, and the machine the properties judge it by."""

    format: int
    experiment: str
    run: str
    seed: int
    world: str
    revision: str
    machine: Machine


class RunEnded(Event, frozen=True, tag="run.ended"):
    """Last record.  `quiet`: nothing was left to deliver, so *eventually* may be judged.

    `steps` is the number of deliveries, `records` that of all records with this one (0: not said),
    so that a line that is missing is noticed.
    """

    quiet: bool
    steps: int
    records: int = 0


class MessageSent(Event, frozen=True, tag="message.sent"):
    """`id` is sender:n.k, the k-th effect of the sender's input n."""

    peer: Name
    message: str
    id: str
    detail: dict[str, Scalar]


class MessageDelivered(Event, frozen=True, tag="message.delivered"):
    """The input itself; `id` as it was sent."""

    peer: Name
    message: str
    id: str
    detail: dict[str, Scalar]


class HostStarted(Event, frozen=True, tag="host.started"):
    """An actor runs (again), from its journal if `recovered` inputs were there."""

    recovered: int


class HostCrashed(Event, frozen=True, tag="host.crashed"):
    """An actor's process died; it comes back by its journal."""


class HostGone(Event, frozen=True, tag="host.lost"):
    """An actor died for good."""


class FaultBegun(Event, frozen=True, tag="fault.begun"):
    """A fault was seen to have happened: `fault` to `target`."""

    fault: str
    target: Name


class FaultHealed(Event, frozen=True, tag="fault.healed"):
    """It is over."""

    fault: str
    target: Name


class SiteFailed(Event, frozen=True, tag="site.failed"):
    """`out.may_fail(site)` answered yes."""

    site: str


class PropertyViolated(Event, frozen=True, tag="property.violated"):
    """A property's sentence about what went wrong."""

    property: str
    message: str
    level: str = "error"


class WitnessSeen(Event, frozen=True, tag="witness.seen"):
    """A *sometimes* happened for the first time."""

    property: str
