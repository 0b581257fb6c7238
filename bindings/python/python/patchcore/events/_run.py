"""What is recorded of a run as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from .._decode import Json
from ..values import Failure
from ._base import event, RunEvent


@event("started")
@dataclass(frozen=True, kw_only=True)
class Started(RunEvent):
    """It begins."""

    plan: str
    """What people call the plan."""
    components: int
    """How many components."""
    requested_by: str
    """Who asked."""
    approved_by: tuple[str, ...]
    """Who approved, with the standing: `maria (asserted)`."""


@event("taken_over")
@dataclass(frozen=True, kw_only=True)
class TakenOver(RunEvent):
    """Another process took it over."""

    epoch: int
    """How often the journal changed hands."""
    from_: str | None = field(default=None, metadata={"json": "from"})
    """Which process of which host had opened it before, and when."""
    forced: Json | None = None
    """Who took it from a process that still held it, and why; none where nobody held it any more."""


@event("ring_opened")
@dataclass(frozen=True, kw_only=True)
class RingOpened(RunEvent):
    """A ring may start."""

    ring: str
    """Which."""
    of: int
    """How many of it are in the plan."""
    at_once: int
    """How many may be down at once."""
    window: str
    """In which window."""
    until: datetime | None = None
    """Until when that is open."""


@event("soak_started")
@dataclass(frozen=True, kw_only=True)
class SoakStarted(RunEvent):
    """All of a ring are back in service, and it is watched."""

    ring: str
    """Which."""
    until: datetime
    """Until when."""


@event("soak_ended")
@dataclass(frozen=True, kw_only=True)
class SoakEnded(RunEvent):
    """The soak is over, and everything is looked at once more."""

    ring: str
    """Which."""


@event("ring_passed")
@dataclass(frozen=True, kw_only=True)
class RingPassed(RunEvent):
    """A ring is through."""

    ring: str
    """Which."""
    count: Json
    """How it stands."""


@event("ring_approved")
@dataclass(frozen=True, kw_only=True)
class RingApproved(RunEvent):
    """A person approved a ring."""

    ring: str
    """Which."""
    by: str
    """Who."""
    reason: str
    """What the person wrote."""


@event("halted")
@dataclass(frozen=True, kw_only=True)
class Halted(RunEvent):
    """Nothing new starts."""

    why: str
    """Why."""
    ring: str | None = None
    """In which ring."""


@event("halt_lifted")
@dataclass(frozen=True, kw_only=True)
class HaltLifted(RunEvent):
    """A person lets it go on."""

    by: str
    """Who."""
    reason: str
    """Why."""
    forgiven: int
    """Failures that are forgiven by this."""
    ring: str | None = None
    """The ring that may start although what it waited for does not hold."""


@event("paused")
@dataclass(frozen=True, kw_only=True)
class Paused(RunEvent):
    """Nothing new starts until somebody lets it go on."""

    by: str
    """Who."""
    reason: str
    """Why."""


@event("unpaused")
@dataclass(frozen=True, kw_only=True)
class Unpaused(RunEvent):
    """It goes on."""

    by: str
    """Who."""
    reason: str
    """Why."""


@event("pause_point_set")
@dataclass(frozen=True, kw_only=True)
class PausePointSet(RunEvent):
    """Somebody wants a step not to begin until they say so."""

    point: Json
    """Where, by whom and why."""


@event("pause_point_cleared")
@dataclass(frozen=True, kw_only=True)
class PausePointCleared(RunEvent):
    """The step may begin."""

    component: str | None = None
    """Whose step; every component's where none is named."""
    step: str
    """Which step."""
    by: str
    """Who says so."""
    reason: str
    """Why."""


@event("ending")
@dataclass(frozen=True, kw_only=True)
class Ending(RunEvent):
    """It is brought to an end: nothing new starts, what is open is finished, what is owed is given back."""

    verdict: str
    """With which verdict."""
    by: str
    """Who."""
    reason: str
    """Why."""


@event("denied")
@dataclass(frozen=True, kw_only=True)
class Denied(RunEvent):
    """A patch is on the deny-list from now on."""

    denial: Json
    """Which, and why."""


@event("denial_lifted")
@dataclass(frozen=True, kw_only=True)
class DenialLifted(RunEvent):
    """A person takes a patch off the deny-list."""

    patch: str
    """Which."""
    version: str
    """At which version."""
    denied_in: int = field(metadata={"json": "run"})
    """In which run it was denied."""
    by: str
    """Who."""
    reason: str
    """Why."""


@event("command_refused")
@dataclass(frozen=True, kw_only=True)
class CommandRefused(RunEvent):
    """A command could not be carried out."""

    by: str
    """Who sent it."""
    verb: str
    """Which."""
    why: str
    """Why not."""


@event("roll")
@dataclass(frozen=True, kw_only=True)
class Roll(RunEvent):
    """About the roll of a cluster."""

    cluster: str
    """Which cluster."""
    event: Json
    """What of its roll: the kind, and its parts."""


@event("ended")
@dataclass(frozen=True, kw_only=True)
class Ended(RunEvent):
    """It is over."""

    verdict: str
    """How."""
    ends: tuple[tuple[str, int], ...]
    """How many ended in which way."""
