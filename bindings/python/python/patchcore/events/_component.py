"""What is recorded of one component."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from .._decode import Json
from ..values import Failure
from ._base import ComponentEvent, event


@event("admitted")
@dataclass(frozen=True, kw_only=True)
class Admitted(ComponentEvent):
    """It has a slot and begins."""

    ring: str
    """In which ring."""
    wave: int
    """In which wave, counted from 1."""
    next: Json
    """Where it goes."""


@event("intended")
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


@event("begun")
@dataclass(frozen=True, kw_only=True)
class Begun(ComponentEvent):
    """The target took it."""

    handle: Json
    """By what it is found again."""


@event("settled")
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


@event("failed")
@dataclass(frozen=True, kw_only=True)
class Failed(ComponentEvent):
    """The operation failed, or could not begin."""

    step: str
    """Which step."""
    failures: tuple[Failure, ...]
    """Every reason."""
    next: Json
    """Where it goes."""


@event("scanned")
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


@event("checked")
@dataclass(frozen=True, kw_only=True)
class Checked(ComponentEvent):
    """Its checks were run."""

    phase: Json = field(metadata={"json": "at"})
    """In which phase."""
    healthy: Json
    """Whether they hold."""
    next: Json
    """Where it goes."""


@event("soak_over")
@dataclass(frozen=True, kw_only=True)
class SoakOver(ComponentEvent):
    """Its soak is over."""

    next: Json
    """Where it goes."""


@event("way_back_opened")
@dataclass(frozen=True, kw_only=True)
class WayBackOpened(ComponentEvent):
    """It has a slot to be rolled back in."""

    next: Json
    """Where it goes."""


@event("skipped")
@dataclass(frozen=True, kw_only=True)
class Skipped(ComponentEvent):
    """It does not get its turn."""

    why: str
    """Why."""


@event("forgiven")
@dataclass(frozen=True, kw_only=True)
class Forgiven(ComponentEvent):
    """A person lifted the halt that its failure led to."""


@event("cut_short")
@dataclass(frozen=True, kw_only=True)
class CutShort(ComponentEvent):
    """The run ends before its soak does."""

    next: Json
    """Where it goes."""


@event("quarantined")
@dataclass(frozen=True, kw_only=True)
class Quarantined(ComponentEvent):
    """Nobody but a person can say what happened."""

    why: str
    """Why."""


@event("resolved")
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


@event("stalled")
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


@event("moved")
@dataclass(frozen=True, kw_only=True)
class Moved(ComponentEvent):
    """What stalled gets on again."""


@event("fought")
@dataclass(frozen=True, kw_only=True)
class Fought(ComponentEvent):
    """Something borrowed was changed by somebody else meanwhile, so it is not given back by us."""

    taken_by: str
    """The operation that borrowed it."""
    expected: str
    """What was left there."""
    found: str
    """What is there."""


@event("locked")
@dataclass(frozen=True, kw_only=True)
class Locked(ComponentEvent):
    """We hold the lock of the target from now on."""

    fence: int
    """What the target counts our holding as: it refuses whoever comes with a lower one."""
    took_over: str | None = None
    """From whom it was taken over, and how old that holding was; none where nobody held it."""


@event("unlocked")
@dataclass(frozen=True, kw_only=True)
class Unlocked(ComponentEvent):
    """The lock of the target is given back."""

    fence: int
    """Which holding ended."""
    lapses: str | None = None
    """Why the target could not be told, where it could not: there the holding lapses by itself."""
