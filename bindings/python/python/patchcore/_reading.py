"""What the reading ports answer, and the lock of a target."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Union

from . import _native
from ._decode import Json
from ._wire import Value, variant
from .exceptions import Error
from .values import Component, Patch
from .words import GroupRole, ProbeVerdict, RelationKind, WayBackKind


@dataclass(frozen=True)
class Relation(Value):
    """How one component depends on another."""

    component: str = field(metadata={"json": "from"})
    kind: RelationKind
    to: str


@variant("other", bare=True)
@dataclass(frozen=True)
class OtherRole(Value):
    """A role that patchcore has no word for."""

    name: str


@dataclass(frozen=True)
class RedundancyGroup(Value):
    """Components that stand in for each other; so many of them stay up."""

    name: str
    role: Union[GroupRole, OtherRole]
    keep_up: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Unhealthy(Value):
    """A fault of a component that was there before we came."""

    what: str
    remedy: str


@dataclass(frozen=True)
class Busy(Value):
    """Somebody else holds what we need."""

    what: str
    holder: str
    since: datetime | None = None


@dataclass(frozen=True)
class RunningOld(Value):
    """A process that still runs code that is no longer on disk."""

    who: str
    maps: str


@variant("ready", tag="state")
@dataclass(frozen=True)
class WayBack(Value):
    """Everything can go back."""

    by: WayBackKind


@variant("partial", tag="state")
@dataclass(frozen=True)
class PartialWayBack(Value):
    """Part of it can go back."""

    by: WayBackKind
    missing: tuple[str, ...]
    why: str


@variant("none", tag="state")
@dataclass(frozen=True)
class NoWayBack(Value):
    """Nothing can go back."""

    why: str


@dataclass(frozen=True)
class Estimate(Value):
    """How long a piece of work takes: in half of the cases, and in 95 % of them, at most."""

    p50: timedelta
    p95: timedelta


@variant("held")
@dataclass(frozen=True)
class OnHold(Value):
    """Somebody set it on hold."""


@variant("phased")
@dataclass(frozen=True)
class Phased(Value):
    """The vendor's rollout has come so far, and this component is not in it yet."""

    percent: int


@variant("dependency")
@dataclass(frozen=True)
class DependencyUnmet(Value):
    """Its dependencies cannot be met."""


@variant("would_remove")
@dataclass(frozen=True)
class WouldRemove(Value):
    """It would remove other patches."""

    removes: tuple[str, ...]


@dataclass(frozen=True)
class KeptBack(Value):
    """What a tool knows and does not offer."""

    patch: str
    reason: Union[OnHold, Phased, DependencyUnmet, WouldRemove]
    previous: str | None = field(default=None, metadata={"json": "from"})
    version: str | None = field(default=None, metadata={"json": "to"})


@dataclass(frozen=True)
class Available(Value):
    """What is on offer for a component, as its tool knows it."""

    at: datetime
    patches: tuple[Patch, ...] = ()
    kept_back: tuple[KeptBack, ...] = ()
    catalogue_as_of: datetime | None = None
    """When the tool itself last heard from its source; unknown is unknown, not now."""


@dataclass(frozen=True)
class Scan(Value):
    """What was read from a component at one moment. What could not be read is None, and counts as unsafe."""

    at: datetime
    installed: Mapping[str, str]
    """Everything installed, at the version that runs or is ready to run."""
    pending_activation: Mapping[str, str] = field(default_factory=lambda: Json({}))
    """Flashed or staged, and not running before a restart."""
    unhealthy: tuple[Unhealthy, ...] = ()
    busy: Busy | None = None
    boot_id: str | None = None
    """A value that changes with every start of the component."""
    reboot_wanted: tuple[str, ...] | None = None
    """Why a restart is wanted; empty means none is, None means nobody knows."""
    running_old: tuple[RunningOld, ...] | None = None
    """Processes on old code; empty means none, None means nobody knows."""
    way_back: Union[WayBack, PartialWayBack, NoWayBack, None] = None
    takes: Estimate | None = None
    restart_takes: Estimate | None = None
    restart_refused: str | None = None
    other_patchers: tuple[str, ...] = ()
    available: Available | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "installed", Json(self.installed))
        object.__setattr__(self, "pending_activation", Json(self.pending_activation))


@dataclass(frozen=True)
class Listing(Value):
    """Everything one provider sees. A partial one is an exception, not a shorter list."""

    sightings: tuple[Component, ...]
    relations: tuple[Relation, ...] = ()
    groups: tuple[RedundancyGroup, ...] = ()
    scans: Mapping[str, Scan | Error] = field(default_factory=lambda: Json({}))
    """What was read of components along the way; they are not scanned a second time."""
    seen_only: tuple[str, ...] = ()
    """Those that it only sees: it is not asked what is installed on them or on offer for them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sightings", tuple(self.sightings))
        object.__setattr__(self, "seen_only", tuple(self.seen_only))


@variant("http")
@dataclass(frozen=True)
class Http(Value):
    """A request to a URL answers with a status of 200 to 299."""

    url: str


@variant("command")
@dataclass(frozen=True)
class Command(Value):
    """A program on the component ends with status 0. Words, never a shell line."""

    argv: tuple[str, ...]


@dataclass(frozen=True)
class ProbeRequest(Value):
    """One check of one component."""

    component: str
    kind: Union[Http, Command]
    timeout: timedelta = timedelta(seconds=10)


@dataclass(frozen=True)
class ProbeAnswer(Value):
    """What one check saw, in words."""

    verdict: ProbeVerdict
    saw: str


@dataclass(frozen=True)
class Claim(Value):
    """Who asks for a target: which opening of which journal, and for how long it may be silent."""

    journal: str
    opening: str
    epoch: int
    holder: str
    lease: timedelta


@dataclass(frozen=True)
class Held(Value):
    """Who holds a target, under which number, and the last sign of life."""

    claim: Claim
    fence: int
    since: datetime
    seen: datetime
    at: datetime
    """When it was read."""

    def yields_to(self, claim: Claim) -> bool:
        """Whether the target goes to a claim: to a later opening of the same journal, or because it has lapsed."""
        return _native.yields_to(json.dumps(self.to_dict()), json.dumps(claim.to_dict()))


@variant("ours")
@dataclass(frozen=True)
class Ours(Value):
    """It is ours, under this number."""

    fence: int


@variant("taken_over")
@dataclass(frozen=True)
class TakenOver(Value):
    """It is ours, and was somebody's who lost it."""

    fence: int
    previous: Held = field(metadata={"json": "from"})


@variant("held_by", bare=True)
@dataclass(frozen=True)
class HeldBy(Value):
    """It is somebody else's."""

    held: Held


Taken = Union[Ours, TakenOver, HeldBy]
"""What came of asking for a target."""
