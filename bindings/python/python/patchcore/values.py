"""Frozen values: what a run shows, and what a provider of your own gives and takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Mapping

from ._decode import Json, build, thaw
from .words import ComponentKind, ErrorKind, Impact, PatchClass, StandingState


@dataclass(frozen=True)
class Failure:
    """What is kept of an error after its process has ended."""

    kind: ErrorKind
    message: str
    hint: str | None = None
    blames: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Standing:
    """How a run stands at one moment."""

    state: StandingState
    text: str
    until: datetime | None = None
    waits: tuple[str, ...] = ()
    verdict: str | None = None
    failure: Failure | None = None

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state not in (StandingState.WORKING, StandingState.WAITING)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class RingProgress:
    """How far one ring is. Every component of it stands in exactly one of the counts."""

    ring: str
    components: int
    waiting: int
    at_work: int
    in_service: int
    done: int
    failed: int
    undecided: int
    skipped: int


@dataclass(frozen=True)
class ComponentProgress:
    """One component that is on the way, or needs a person."""

    component: str
    ring: str
    doing: str
    since: datetime
    late: timedelta | None = None
    says: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a run is at one moment."""

    run: int
    now: datetime
    standing: Standing
    rings: tuple[RingProgress, ...]
    at_work: tuple[ComponentProgress, ...]
    ends: datetime | None = None


@dataclass(frozen=True)
class Inventory:
    """The estate as it was found, at one moment."""

    estate: str
    at: datetime
    data: Json = field(repr=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Inventory:
        """Read an inventory from plain data."""
        parts = build(_InventoryHead, data)
        return cls(parts.estate, parts.at, Json(data))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``from_dict`` reads."""
        plain: dict[str, Any] = thaw(self.data)
        return plain

    @property
    def components(self) -> tuple[str, ...]:
        """The names of everything that was found."""
        return tuple(self.data["components"])

    @property
    def gaps(self) -> tuple[Json, ...]:
        """What could not be learned."""
        gaps: tuple[Json, ...] = self.data["gaps"]
        return gaps

    def __len__(self) -> int:
        return len(self.data["components"])


@dataclass(frozen=True)
class _InventoryHead:
    estate: str
    at: datetime


@dataclass(frozen=True)
class Patch:
    """One software change on offer, or to be made.

    ``previous`` is the version that is there now; where it is left out, the scan says it.
    """

    id: str
    version: str
    previous: str | None = None
    patch_class: PatchClass = PatchClass.OTHER
    impact: Impact | None = None
    advisories: tuple[str, ...] = ()
    size: int | None = None

    if TYPE_CHECKING:
        # What __post_init__ makes of words, for those who check types.
        def __init__(
            self,
            id: str,
            version: str,
            previous: str | None = None,
            patch_class: PatchClass | str = PatchClass.OTHER,
            impact: Impact | str | None = None,
            advisories: Iterable[str] = (),
            size: int | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        # A word in place of the member is as good; one that is none is told at once.
        object.__setattr__(self, "patch_class", PatchClass(self.patch_class))
        if self.impact is not None:
            object.__setattr__(self, "impact", Impact(self.impact))
        object.__setattr__(self, "advisories", tuple(sorted(self.advisories)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``from_dict`` reads."""
        plain: dict[str, Any] = {"id": self.id, "to": self.version, "pin": "version"}
        plain["class"] = str(self.patch_class)
        plain["advisories"] = list(self.advisories)
        if self.previous is not None:
            plain["from"] = self.previous
        if self.impact is not None:
            plain["impact"] = str(self.impact)
        if self.size is not None:
            plain["size"] = self.size
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Patch:
        """Read a patch from plain data."""
        return cls(
            id=data["id"],
            version=data["to"],
            previous=data.get("from"),
            patch_class=PatchClass(data.get("class", "other")),
            impact=None if data.get("impact") is None else Impact(data["impact"]),
            advisories=tuple(data.get("advisories", ())),
            size=data.get("size"),
        )


@dataclass(frozen=True)
class Component:
    """One thing in the estate, as a provider sees it."""

    id: str
    address: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: Json({}))
    kind: ComponentKind = ComponentKind.GUEST
    owner: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            id: str,
            address: str | None = None,
            labels: Mapping[str, str] = ...,
            kind: ComponentKind | str = ComponentKind.GUEST,
            owner: str | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", ComponentKind(self.kind))
        object.__setattr__(self, "labels", Json(self.labels))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``from_dict`` reads."""
        plain: dict[str, Any] = {"component": self.id, "kind": str(self.kind)}
        plain["labels"] = dict(self.labels)
        if self.address is not None:
            plain["address"] = self.address
        if self.owner is not None:
            plain["owner"] = self.owner
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Component:
        """Read a component from plain data."""
        return cls(
            id=data["component"],
            address=data.get("address"),
            labels=data.get("labels", {}),
            kind=ComponentKind(data.get("kind", "guest")),
            owner=data.get("owner"),
        )


@dataclass(frozen=True)
class Installed:
    """What is on a component: what runs, and what waits for a restart."""

    running: Mapping[str, str]
    pending: Mapping[str, str] = field(default_factory=lambda: Json({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "running", Json(self.running))
        object.__setattr__(self, "pending", Json(self.pending))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``from_dict`` reads."""
        return {"running": dict(self.running), "pending": dict(self.pending)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Installed:
        """Read it from plain data."""
        return cls(data["running"], data.get("pending", {}))
