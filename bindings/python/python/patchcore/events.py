"""What a run records: one frozen class for each kind of event.

``str(event)`` is the line for people. A kind that this version does not know comes as :class:`Other`, one that cannot
be read as :class:`Damaged`. Times are in UTC; structured parts are :class:`Json`, mappings that cannot be changed.

The classes are checked against the Rust source by ``tests/test_drift.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from ._decode import Json, build, freeze, thaw
from .values import Failure

_PLACE = {"place": True}


@dataclass(frozen=True, kw_only=True)
class Event:
    """One entry of a journal."""

    seq: int = field(metadata=_PLACE)
    """Its place in the journal."""
    at: datetime = field(metadata=_PLACE)
    """When it was decided."""
    run: int = field(metadata=_PLACE)
    """In which run."""
    text: str = field(metadata=_PLACE, repr=False)
    """The line for people."""

    kind = "event"
    """The stable word of its kind."""

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        plain: dict[str, Any] = {"kind": self.kind}
        for part in fields(self):
            plain[part.metadata.get("json", part.name)] = thaw(getattr(self, part.name))
        return plain


@dataclass(frozen=True, kw_only=True)
class RunEvent(Event):
    """A decision about the run as a whole."""


@dataclass(frozen=True, kw_only=True)
class ComponentEvent(Event):
    """A decision about one component."""

    component: str = field(metadata=_PLACE)
    """Which."""


@dataclass(frozen=True, kw_only=True)
class Other(Event):
    """An event of a newer version."""

    kind: str = field(metadata=_PLACE)
    """Its kind."""
    component: str | None = field(default=None, metadata=_PLACE)
    """About which component."""
    body: Any = None
    """What it says."""


@dataclass(frozen=True, kw_only=True)
class Damaged(Event):
    """An event of a known kind that cannot be read."""

    kind: str = field(metadata=_PLACE)
    """Its kind."""
    component: str | None = field(default=None, metadata=_PLACE)
    """About which component."""
    why: str
    """Why not."""


KINDS: dict[str, type[RunEvent] | type[ComponentEvent]] = {}
"""Every kind that this version knows, and its class."""

_E = TypeVar("_E", bound="type[RunEvent] | type[ComponentEvent]")


def _event(kind: str) -> Callable[[_E], _E]:
    def known(cls: _E) -> _E:
        cls.kind = kind
        KINDS[kind] = cls
        return cls

    return known


def read(row: tuple[int, datetime, int, str | None, str, str, str, str]) -> Event:
    """An event as the native half hands it out."""
    seq, at, run, component, family, kind, body, text = row
    place: dict[str, Any] = {"seq": seq, "at": at, "run": run, "text": text}
    data = json.loads(body)
    if family == "damaged":
        return Damaged(kind=kind, component=component, why=data["why"], **place)
    cls = KINDS.get(kind)
    if family == "other" or cls is None:
        rest = data["body"] if family == "other" else data
        return Other(kind=kind, component=component, body=freeze(rest), **place)
    if component is not None:
        place["component"] = component
    return build(cls, data, **place)


@_event("admitted")
@dataclass(frozen=True, kw_only=True)
class Admitted(ComponentEvent):
    """It has a slot and begins."""

    ring: str
    """In which ring."""
    wave: int
    """In which wave, counted from 1."""
    next: Json
    """Where it goes."""


@_event("intended")
@dataclass(frozen=True, kw_only=True)
class Intended(ComponentEvent):
    """An operation is about to begin. Durable before anything happens."""

    step: str
    """Which step."""
    key: str
    """Under which key."""
    request: Json
    """What."""
    baseline: Json
    """From where."""
    guarantee: Json
    """What the target promises."""
    undo: Json
    """How it is undone."""
    owes: str | None = None
    """What is owed from now on, as a sentence; none where nothing is borrowed."""
    give_back_by: datetime | None = None
    """When that should have been given back; later it is overdue."""


@_event("begun")
@dataclass(frozen=True, kw_only=True)
class Begun(ComponentEvent):
    """The target took it."""

    handle: Json
    """By what it is found again."""


@_event("settled")
@dataclass(frozen=True, kw_only=True)
class Settled(ComponentEvent):
    """The operation is over."""

    step: str
    """Which step."""
    evidence: Json
    """What was seen."""
    held_already: bool
    """Whether it was so before we began."""
    gives: str | None = None
    """The operation whose loan is given back by this; none where it gives everything back that is owed."""
    next: Json
    """Where it goes."""


@_event("failed")
@dataclass(frozen=True, kw_only=True)
class Failed(ComponentEvent):
    """The operation failed, or could not begin."""

    step: str
    """Which step."""
    failures: tuple[Failure, ...]
    """Every reason."""
    next: Json
    """Where it goes."""


@_event("scanned")
@dataclass(frozen=True, kw_only=True)
class Scanned(ComponentEvent):
    """What is there was read."""

    phase: Json = field(metadata={"json": "at"})
    """In which phase."""
    patched: Json
    """Whether everything is at the planned version; after rolling back: as before."""
    in_effect: Json
    """Whether the patched code runs."""
    rebooted: Json
    """Whether it restarted."""
    boot_id: str | None = None
    """Its boot identity at this moment: a later restart is judged against it."""
    next: Json
    """Where it goes."""


@_event("checked")
@dataclass(frozen=True, kw_only=True)
class Checked(ComponentEvent):
    """Its checks were run."""

    phase: Json = field(metadata={"json": "at"})
    """In which phase."""
    healthy: Json
    """Whether they hold."""
    next: Json
    """Where it goes."""


@_event("soak_over")
@dataclass(frozen=True, kw_only=True)
class SoakOver(ComponentEvent):
    """Its soak is over."""

    next: Json
    """Where it goes."""


@_event("way_back_opened")
@dataclass(frozen=True, kw_only=True)
class WayBackOpened(ComponentEvent):
    """It has a slot to be rolled back in."""

    next: Json
    """Where it goes."""


@_event("skipped")
@dataclass(frozen=True, kw_only=True)
class Skipped(ComponentEvent):
    """It does not get its turn."""

    why: str
    """Why."""


@_event("forgiven")
@dataclass(frozen=True, kw_only=True)
class Forgiven(ComponentEvent):
    """A person lifted the halt that its failure led to."""


@_event("cut_short")
@dataclass(frozen=True, kw_only=True)
class CutShort(ComponentEvent):
    """The run ends before its soak does."""

    next: Json
    """Where it goes."""


@_event("quarantined")
@dataclass(frozen=True, kw_only=True)
class Quarantined(ComponentEvent):
    """Nobody but a person can say what happened."""

    why: str
    """Why."""


@_event("resolved")
@dataclass(frozen=True, kw_only=True)
class Resolved(ComponentEvent):
    """A person decided."""

    by: str
    """Who."""
    reason: str
    """Why."""
    how: str
    """What, as a word."""
    waives: bool
    """What is still owed and will not be given back by us."""
    gives: str | None = None
    """The operation whose loan this takes for given back; none where it does so with everything that is owed."""
    only: str | None = None
    """The operation whose loan alone is waived; none where all are."""
    next: Json
    """Where it goes."""


@_event("stalled")
@dataclass(frozen=True, kw_only=True)
class Stalled(ComponentEvent):
    """What is in flight does not get on. It goes on being waited for."""

    call: str
    """Which call: `observe`, `begin`, `prepare`."""
    since: datetime
    """Since when nothing moved."""
    why: str
    """What keeps it, as a sentence."""
    holder: str | None = None
    """Who holds what it waits for, where that is known."""


@_event("moved")
@dataclass(frozen=True, kw_only=True)
class Moved(ComponentEvent):
    """What stalled gets on again."""


@_event("fought")
@dataclass(frozen=True, kw_only=True)
class Fought(ComponentEvent):
    """Something borrowed was changed by somebody else meanwhile, so it is not given back by us."""

    taken_by: str
    """The operation that borrowed it."""
    expected: str
    """What was left there."""
    found: str
    """What is there."""


@_event("locked")
@dataclass(frozen=True, kw_only=True)
class Locked(ComponentEvent):
    """We hold the lock of the target from now on."""

    fence: int
    """What the target counts our holding as: it refuses whoever comes with a lower one."""
    took_over: str | None = None
    """From whom it was taken over, and how old that holding was; none where nobody held it."""


@_event("unlocked")
@dataclass(frozen=True, kw_only=True)
class Unlocked(ComponentEvent):
    """The lock of the target is given back."""

    fence: int
    """Which holding ended."""
    lapses: str | None = None
    """Why the target could not be told, where it could not: there the holding lapses by itself."""


@_event("started")
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


@_event("taken_over")
@dataclass(frozen=True, kw_only=True)
class TakenOver(RunEvent):
    """Another process took it over."""

    epoch: int
    """How often the journal changed hands."""
    from_: str | None = field(default=None, metadata={"json": "from"})
    """Which process of which host had opened it before, and when."""
    forced: Json | None = None
    """Who took it from a process that still held it, and why; none where nobody held it any more."""


@_event("ring_opened")
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


@_event("soak_started")
@dataclass(frozen=True, kw_only=True)
class SoakStarted(RunEvent):
    """All of a ring are back in service, and it is watched."""

    ring: str
    """Which."""
    until: datetime
    """Until when."""


@_event("soak_ended")
@dataclass(frozen=True, kw_only=True)
class SoakEnded(RunEvent):
    """The soak is over, and everything is looked at once more."""

    ring: str
    """Which."""


@_event("ring_passed")
@dataclass(frozen=True, kw_only=True)
class RingPassed(RunEvent):
    """A ring is through."""

    ring: str
    """Which."""
    count: Json
    """How it stands."""


@_event("ring_approved")
@dataclass(frozen=True, kw_only=True)
class RingApproved(RunEvent):
    """A person approved a ring."""

    ring: str
    """Which."""
    by: str
    """Who."""
    reason: str
    """What the person wrote."""


@_event("halted")
@dataclass(frozen=True, kw_only=True)
class Halted(RunEvent):
    """Nothing new starts."""

    why: str
    """Why."""
    ring: str | None = None
    """In which ring."""


@_event("halt_lifted")
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


@_event("paused")
@dataclass(frozen=True, kw_only=True)
class Paused(RunEvent):
    """Nothing new starts until somebody lets it go on."""

    by: str
    """Who."""
    reason: str
    """Why."""


@_event("unpaused")
@dataclass(frozen=True, kw_only=True)
class Unpaused(RunEvent):
    """It goes on."""

    by: str
    """Who."""
    reason: str
    """Why."""


@_event("pause_point_set")
@dataclass(frozen=True, kw_only=True)
class PausePointSet(RunEvent):
    """Somebody wants a step not to begin until they say so."""

    point: Json
    """Where, by whom and why."""


@_event("pause_point_cleared")
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


@_event("ending")
@dataclass(frozen=True, kw_only=True)
class Ending(RunEvent):
    """It is brought to an end: nothing new starts, what is open is finished, what is owed is given back."""

    verdict: str
    """With which verdict."""
    by: str
    """Who."""
    reason: str
    """Why."""


@_event("denied")
@dataclass(frozen=True, kw_only=True)
class Denied(RunEvent):
    """A patch is on the deny-list from now on."""

    denial: Json
    """Which, and why."""


@_event("denial_lifted")
@dataclass(frozen=True, kw_only=True)
class DenialLifted(RunEvent):
    """A person takes a patch off the deny-list."""

    patch: str
    """Which."""
    version: str
    """At which version."""
    run: int
    """Of which run."""
    by: str
    """Who."""
    reason: str
    """Why."""


@_event("command_refused")
@dataclass(frozen=True, kw_only=True)
class CommandRefused(RunEvent):
    """A command could not be carried out."""

    by: str
    """Who sent it."""
    verb: str
    """Which."""
    why: str
    """Why not."""


@_event("ended")
@dataclass(frozen=True, kw_only=True)
class Ended(RunEvent):
    """It is over."""

    verdict: str
    """How."""
    ends: tuple[tuple[str, int], ...]
    """How many ended in which way."""
