"""The ports: what patchcore asks of the outside, and the one protocol by which it changes anything there.

A provider the full way is any object with a ``name`` and a method ``ports`` that returns :class:`Ports`; what serves a
port is any object with its methods. Methods that get a :class:`Context` may be ``def`` or ``async def``; the others are
pure and plain. For most tools the short way is enough: :class:`patchcore.SimpleProvider`.

An exception of :mod:`patchcore.exceptions` says what is wrong in the words of patchcore; any other one is a fault of
the provider, fails its call and not the run, and stands in the log ``patchcore.provider``. In a mapping of answers an
exception in place of a value says that this component could not be read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, Union

from ._context import Context
from ._operation import (
    Answer,
    Apply,
    Baseline,
    BracketRequest,
    Change,
    DeployRequest,
    Discard,
    GiveBack,
    Handle,
    Op,
    PatchChange,
    Reboot,
    Refresh,
    RollBack,
    Stage,
    Take,
)
from ._outcome import (
    AlreadyHolds,
    Attested,
    Begun,
    Blind,
    Blocked,
    Blocker,
    BracketCapabilities,
    ChangedMeanwhile,
    DeployerCapabilities,
    Done,
    Evidence,
    Failed,
    Guarantee,
    Holding,
    Keyed,
    Locatable,
    Located,
    Lost,
    NeedsPerson,
    NotFound,
    NotHeld,
    NothingToUndo,
    Observed,
    Prepared,
    Progress,
    Question,
    ReadBack,
    Readiness,
    Ready,
    Refused,
    Running,
    Settled,
    Started,
    StateOnly,
    StillHeld,
    SubjectResult,
    Undo,
    UndoBy,
    UndoUnavailable,
    Unknown,
    Working,
)
from ._reading import (
    Available,
    Busy,
    Claim,
    Command,
    DependencyUnmet,
    Estimate,
    Held,
    HeldBy,
    Http,
    KeptBack,
    Listing,
    NoWayBack,
    OnHold,
    OtherRole,
    Ours,
    PartialWayBack,
    Phased,
    ProbeAnswer,
    ProbeRequest,
    RedundancyGroup,
    Relation,
    RunningOld,
    Scan,
    Taken,
    TakenOver,
    Unhealthy,
    WayBack,
    WouldRemove,
)
from .exceptions import Error
from .values import Artifact, Component, Failure, Identity, Patch, Pin
from .words import (
    BracketKind,
    EvidenceLabel,
    GroupRole,
    IdentityKind,
    PinKind,
    ProbeVerdict,
    RelationKind,
    WayBackKind,
)

__all__ = [
    "AlreadyHolds",
    "Answer",
    "Apply",
    "Artifact",
    "Attested",
    "Available",
    "Baseline",
    "Begun",
    "Blind",
    "Blocked",
    "Blocker",
    "Bracket",
    "BracketCapabilities",
    "BracketKind",
    "BracketRequest",
    "Busy",
    "Change",
    "ChangedMeanwhile",
    "Claim",
    "Command",
    "Component",
    "Context",
    "DependencyUnmet",
    "DeployRequest",
    "Deployer",
    "DeployerCapabilities",
    "Discard",
    "Done",
    "Estimate",
    "Evidence",
    "EvidenceLabel",
    "Failed",
    "Failure",
    "GiveBack",
    "GroupRole",
    "Guarantee",
    "Handle",
    "HealthProbe",
    "Held",
    "HeldBy",
    "Holding",
    "Http",
    "Identity",
    "IdentityKind",
    "InventorySource",
    "KeptBack",
    "Keyed",
    "Listing",
    "Locatable",
    "Located",
    "Lost",
    "NeedsPerson",
    "NoWayBack",
    "NotFound",
    "NotHeld",
    "NothingToUndo",
    "Observed",
    "OnHold",
    "Op",
    "Operations",
    "OtherRole",
    "Ours",
    "PartialWayBack",
    "Patch",
    "PatchChange",
    "PatchSource",
    "Phased",
    "Pin",
    "PinKind",
    "Ports",
    "Prepared",
    "ProbeAnswer",
    "ProbeRequest",
    "ProbeVerdict",
    "Progress",
    "Provider",
    "Question",
    "ReadBack",
    "Readiness",
    "Ready",
    "Reboot",
    "RedundancyGroup",
    "Refresh",
    "Refused",
    "Relation",
    "RelationKind",
    "RollBack",
    "Running",
    "RunningOld",
    "Scan",
    "Settled",
    "Stage",
    "Started",
    "StateOnly",
    "StillHeld",
    "SubjectResult",
    "Take",
    "Taken",
    "TakenOver",
    "TargetLock",
    "Undo",
    "UndoBy",
    "UndoUnavailable",
    "Unhealthy",
    "Unknown",
    "WayBack",
    "WayBackKind",
    "Working",
    "WouldRemove",
]

T = TypeVar("T")
R = TypeVar("R")

Maybe = Union[T, Awaitable[T]]
"""A result, or an awaitable of it: methods may be ``def`` or ``async def``."""
PerComponent = Mapping[str, Union[T, Error]]
"""An answer for each component asked. One that is left out counts as not answered."""


class Operations(Protocol[R]):
    """The six calls behind every change.

    - ``prepare``, ``locate`` and ``observe`` change nothing.
    - ``begin`` is called after its intent is durable. The work outlives the call. An exception of ``begin`` means *may
      have been sent*; a target that surely did nothing answers :class:`Refused`.
    - A target that is :class:`Keyed` returns the running or settled operation for the same key and content, and refuses
      the same key with other content.
    - ``locate`` works in a new process that knows nothing but the operation.
    - A result is read back from the target; an exit code is a hint. It belongs to its key.
    - ``guarantee`` and ``undo`` are pure and plain: from key, request and baseline only.

    Held to by the checks ``operations_*`` of :mod:`patchcore.testing`.
    """

    def guarantee(self, op: Op[R], /) -> Guarantee:
        """What the target promises about this operation if its caller vanishes."""
        ...

    def undo(self, op: Op[R], /) -> Undo[R]:
        """How the operation is undone."""
        ...

    def prepare(self, ctx: Context, request: R, /) -> Maybe[Prepared]:
        """Whether it can begin, and from what."""
        ...

    def begin(self, ctx: Context, op: Op[R], /) -> Maybe[Begun]:
        """Begin it."""
        ...

    def locate(self, ctx: Context, op: Op[R], /) -> Maybe[Located]:
        """Find it again, also from a new process."""
        ...

    def observe(self, ctx: Context, op: Op[R], handle: Handle, /) -> Maybe[Observed]:
        """Look how far it is."""
        ...


class InventorySource(Protocol):
    """Lists components. Reads only; the same estate gives the same ids every time."""

    def listing(self, ctx: Context, /) -> Maybe[Listing]:
        """Everything this provider sees; an exception where that is not all. In Rust it is called ``list``."""
        ...


class PatchSource(Protocol):
    """Knows what is on offer. Reads only; nothing that the tool would put in is left out."""

    def available(self, ctx: Context, components: Sequence[str], /) -> Maybe[PerComponent[Available]]:
        """What is on offer for each of these components."""
        ...


class Deployer(Operations[DeployRequest], Protocol):
    """Puts patches in, exactly the approved versions, and reads back what is there."""

    def capabilities(self) -> DeployerCapabilities:
        """What it can do beside scanning and applying. Asked once."""
        ...

    def scan(self, ctx: Context, components: Sequence[str], /) -> Maybe[PerComponent[Scan]]:
        """What is there, for each of these components."""
        ...


class HealthProbe(Protocol):
    """Runs checks. One that could not be run raises, and is never *healthy*."""

    def kinds(self) -> Iterable[str]:
        """The kinds it can run: ``http``, ``command``. Asked once."""
        ...

    def probe(self, ctx: Context, request: ProbeRequest, /) -> Maybe[ProbeAnswer]:
        """Run one check once."""
        ...


class TargetLock(Protocol):
    """The lock of a target with compare-and-set: of two orchestrators that know nothing of each other, one decides."""

    def take(self, ctx: Context, component: str, claim: Claim, /) -> Maybe[Taken]:
        """Take it, if it is free or its holder yields. Every holding has a number higher than all before it."""
        ...

    def give_back(self, ctx: Context, component: str, fence: int, /) -> Maybe[None]:
        """Give it back, if it is still held under that number."""
        ...

    def look(self, ctx: Context, component: str, /) -> Maybe[Held | None]:
        """Who holds it."""
        ...


class Bracket(Operations[BracketRequest], Protocol):
    """Takes something around a change, such as a silence of alerts, and gives it back."""

    def capabilities(self) -> BracketCapabilities:
        """What it can take. Asked once."""
        ...

    def held(
        self, ctx: Context, kind: BracketKind, taken: str, components: Sequence[str], /
    ) -> Maybe[PerComponent[Holding]]:
        """Whether what an operation took is there now, as read from the target."""
        ...


@dataclass(frozen=True)
class Ports:
    """The ports of a provider. An absent port is None."""

    inventory: InventorySource | None = None
    source: PatchSource | None = None
    deployer: Deployer | None = None
    probe: HealthProbe | None = None
    lock: TargetLock | None = None
    bracket: Bracket | None = None


class Provider(Protocol):
    """One outside system, offering some ports."""

    @property
    def name(self) -> str:
        """What the estate calls it."""
        ...

    def ports(self) -> Ports:
        """What it offers. Called once, when it joins an estate."""
        ...


PROTOCOLS: dict[str, Any] = {
    "inventory": InventorySource,
    "source": PatchSource,
    "deployer": Deployer,
    "probe": HealthProbe,
    "lock": TargetLock,
    "bracket": Bracket,
}
