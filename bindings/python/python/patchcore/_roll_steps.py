"""The steps of a roll, why they are as they are, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

from ._wire import Value, variant
from .words import _Word


class How(_Word):
    """How a machine is moved: while it runs, stopped and started, or while it runs with its disk."""

    LIVE = "live"
    COLD = "cold"
    STORAGE = "storage"


@variant("close")
@dataclass(frozen=True)
class Close(Value):
    """The host takes no more machines."""

    host: str


@variant("migrate")
@dataclass(frozen=True)
class Migrate(Value):
    """A machine moves; it takes its demand at both ends until it is over."""

    vm: str
    from_: str = field(metadata={"json": "from"})
    to: str
    how: How


@variant("await_end")
@dataclass(frozen=True)
class AwaitEnd(Value):
    """A machine ends by itself and is waited for."""

    vm: str
    host: str


@variant("stop")
@dataclass(frozen=True)
class Stop(Value):
    """A pinned machine is shut down, or suspended, and keeps its room."""

    vm: str
    host: str
    suspend: bool = False


@variant("patch")
@dataclass(frozen=True)
class Patch(Value):
    """The empty host is patched, restarted and verified."""

    host: str


@variant("reopen")
@dataclass(frozen=True)
class Reopen(Value):
    """The patched host takes machines again."""

    host: str


@variant("start")
@dataclass(frozen=True)
class Start(Value):
    """A machine that was stopped starts, or is resumed, where it was."""

    vm: str
    host: str


Action = Union[Close, Migrate, AwaitEnd, Stop, Patch, Reopen, Start]
"""What a step does."""


@variant("follows")
@dataclass(frozen=True)
class Follows(Value):
    """It follows from the step that it belongs to."""


@variant("can_be_emptied")
@dataclass(frozen=True)
class CanBeEmptied(Value):
    """A host closes now: it can be emptied, and enough stays open."""

    closed: int
    spare: int
    """What the open hosts have beyond all demand and the reserve, of the scarcest resource."""
    resource: str


@variant("into_patched")
@dataclass(frozen=True)
class IntoPatched(Value):
    """The destination needs no more patch, so this machine moves once."""


@variant("spill")
@dataclass(frozen=True)
class Spill(Value):
    """No patched host had room: this machine moves again."""

    patched: int
    """How many patched hosts there were."""


@variant("makes_room")
@dataclass(frozen=True)
class MakesRoom(Value):
    """It makes room for another machine."""

    for_vm: str


@variant("ahead")
@dataclass(frozen=True)
class Ahead(Value):
    """Its host may not close yet, and its machines leave already."""


@variant("pinned")
@dataclass(frozen=True)
class Pinned(Value):
    """It cannot move, for this reason."""

    reason: str


@variant("balance")
@dataclass(frozen=True)
class Balance(Value):
    """It evens the hosts out."""


Reason = Union[Follows, CanBeEmptied, IntoPatched, Spill, MakesRoom, Ahead, Pinned, Balance]
"""Why a step is as it is."""


@dataclass(frozen=True)
class PlanStep(Value):
    """One step with its time and its reason."""

    number: int
    action: Action
    needs: tuple[int, ...]
    """The numbers of the steps that are over before it begins."""
    from_ms: int
    """When it begins at the usual pace, in milliseconds after the roll did."""
    until_ms: int
    reason: Reason
    why: str
    """The reason as a sentence, with what else was possible at that moment."""
    not_before_ms: int | None = None


@variant("down")
@dataclass(frozen=True)
class HostDown(Value):
    """It is down."""


@variant("skip_host")
@dataclass(frozen=True)
class SkipHost(Value):
    """A machine on it cannot move, and the policy says to leave its host out."""

    vm: str


@variant("nobody_decides")
@dataclass(frozen=True)
class NobodyDecides(Value):
    """A machine on it cannot move, and nobody says what is to be done about it."""

    vm: str


@variant("not_emptied")
@dataclass(frozen=True)
class NotEmptied(Value):
    """No way was found to empty it, which does not say that there is none."""


WhyNotRolled = Union[HostDown, SkipHost, NobodyDecides, NotEmptied]
"""Why a host is not patched by a roll."""


@dataclass(frozen=True)
class HostLeftOut(Value):
    """A host that is not patched by a roll, and why."""

    host: str
    why: WhyNotRolled


@dataclass(frozen=True)
class Figures(Value):
    """What a roll costs, as the checker works it out from the steps."""

    patched: int
    left_out: int
    moves: int
    moved_mib: int
    makespan_ms: int
    makespan_p95_ms: int
    downtime_ms: int
    closed_at_once: int
    fullest_permille: int
    """How full the fullest host is at the end, in thousandths of what it has for machines."""
    soft: int
    """What the broken soft rules cost at the end."""


@dataclass(frozen=True)
class Bounds(Value):
    """No roll that patches all that this one could patch moves less or is over sooner."""

    moved_mib: int
    moves: int
    makespan_ms: int
    closed_at_once: int
