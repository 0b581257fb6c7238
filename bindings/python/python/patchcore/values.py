"""Frozen values: what a run shows, and what a provider of your own gives and takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Mapping, Union

from ._decode import Json, moment, thaw
from ._wire import Value, variant
from .exceptions import Error, NotFound
from .words import (
    ComponentKind,
    ErrorKind,
    IdentityKind,
    Impact,
    PatchClass,
    PinKind,
    StandingState,
)


@dataclass(frozen=True)
class Failure(Value):
    """What is kept of an error after its process has ended."""

    kind: ErrorKind
    message: str
    hint: str | None = None
    blames: tuple[str, ...] = ()
    """Patches that are known to be the cause."""

    @classmethod
    def of(cls, error: Error, *blames: str) -> Failure:
        """Of an exception, with the patches that are known to be the cause."""
        return cls(error.kind, error.message, error.hint, (*error.blames, *blames))

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Standing(Value):
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
class RingProgress(Value):
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
class ComponentProgress(Value):
    """One component that is on the way, or needs a person."""

    component: str
    ring: str
    doing: str
    since: datetime
    late: timedelta | None = None
    says: str | None = None


@dataclass(frozen=True)
class Progress(Value):
    """How far a run is at one moment."""

    run: int
    now: datetime
    standing: Standing
    rings: tuple[RingProgress, ...]
    at_work: tuple[ComponentProgress, ...]
    ends: datetime | None = None

    def __str__(self) -> str:
        lines = [f"run {self.run} at {_minute(self.now)}: {self.standing}"]
        for ring in self.rings:
            counts = ((name, getattr(ring, name)) for name in _COUNTS)
            said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts if count)
            lines.append(f"ring {ring.ring}, {ring.components} components: {said}")
        lines += [f"  {one.component} {one.doing}, since {_minute(one.since)}" for one in self.at_work]
        if self.ends is not None:
            lines.append(f"ends about {_minute(self.ends)}")
        return "\n".join(lines)


_MOST = 50
"""So many components are named; the others are counted."""
_COUNTS = ("waiting", "at_work", "in_service", "done", "failed", "undecided", "skipped")


def _minute(at: datetime) -> str:
    return f"{at.astimezone(timezone.utc):%F %H:%M} UTC"


class Inventory:
    """The estate as it was found, at one moment. Read from its JSON when it is first looked at.

    ``for name in inventory`` gives the names; ``inventory[name]`` is what a component is, ``inventory.findings(name)``
    what is on it, and ``inventory.gaps`` what could not be learned.
    """

    __slots__ = ("_data", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._data: Json | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Inventory:
        """Read an inventory from plain data."""
        return cls(json.dumps(thaw(data)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data that ``from_dict`` reads."""
        plain: dict[str, Any] = json.loads(self._text)
        return plain

    def to_json(self) -> str:
        """The same as text."""
        return self._text

    @property
    def data(self) -> Json:
        """All of it."""
        if self._data is None:
            self._data = Json(json.loads(self._text))
        return self._data

    @property
    def estate(self) -> str:
        """The name of the estate."""
        return str(self.data["estate"])

    @property
    def at(self) -> datetime:
        """When it was found."""
        return moment(self.data["at"])

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

    def __iter__(self) -> Iterator[str]:
        return iter(self.components)

    def __contains__(self, component: object) -> bool:
        return component in self.data["components"]

    def __getitem__(self, component: str) -> Json:
        """What a component is: its ``kind``, ``labels``, ``owner``, ``address``, and by whom it is ``seen_by``."""
        try:
            known: Json = self.data["components"][component]
        except KeyError:
            raise NotFound(
                f"{component} is not in the inventory", hint="`components` names what was found"
            ) from None
        return known

    def findings(self, component: str) -> tuple[Json, ...]:
        """What is on a component, as each ``tool`` that sees it read it: its ``scan``, and what is ``available``."""
        known = self[component]["id"]
        found: tuple[Json, ...] = self.data["findings"].get(known, ())
        return found

    def __eq__(self, other: object) -> bool:
        return self.data == other.data if isinstance(other, Inventory) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.data)

    def __str__(self) -> str:
        gaps = f" · {len(self.gaps)} gaps" if self.gaps else ""
        lines = [f"{self.estate} · {len(self)} components, found {_minute(self.at)}{gaps}"]
        shown = self.components[:_MOST]
        width = max(map(len, shown), default=0)
        for name in shown:
            offers = [finding.get("available") for finding in self.findings(name)]
            known = [len(offer["patches"]) for offer in offers if offer is not None]
            said = f"{sum(known)} patches on offer" if known else "nobody says what is on offer"
            lines.append(f"  {name:{width}}  {self[name]['kind']}  {said}")
        if len(self) > _MOST:
            lines.append(f"  … and {len(self) - _MOST} more")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Inventory({self.estate!r}, {self.at:%FT%TZ}, {len(self)} components)"

    def __reduce__(self) -> tuple[Any, ...]:
        return Inventory, (self._text,)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from . import _pydantic

        return _pydantic.schema(cls)


@variant("artifact")
@dataclass(frozen=True)
class Artifact(Value):
    """The content of a patch is fixed by its digest."""

    sha256: str


Pin = Union[PinKind, Artifact]
"""How exactly the content of a patch is fixed."""


@dataclass(frozen=True)
class Patch(Value):
    """One software change on offer, or to be made.

    ``previous`` is the version that is there now; the short way reads it from the scan where it is left out.
    """

    id: str
    version: str = field(metadata={"json": "to"})
    previous: str | None = field(default=None, metadata={"json": "from"})
    patch_class: PatchClass = field(default=PatchClass.OTHER, metadata={"json": "class"})
    impact: Impact | None = None
    advisories: tuple[str, ...] = ()
    size: int | None = None
    pin: Pin = PinKind.VERSION
    contains: tuple[tuple[str, str], ...] = ()
    """Patches, each at its version, that come with it."""
    supersedes: tuple[tuple[str, str], ...] = ()
    """Patches, each at its version, that it makes needless."""
    recalled: str | None = None
    """Why its vendor took it back."""

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
            pin: Pin | str = PinKind.VERSION,
            contains: Iterable[tuple[str, str]] = (),
            supersedes: Iterable[tuple[str, str]] = (),
            recalled: str | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        # A word in place of the member is as good; one that is none is told at once.
        object.__setattr__(self, "patch_class", PatchClass(self.patch_class))
        if self.impact is not None:
            object.__setattr__(self, "impact", Impact(self.impact))
        if not isinstance(self.pin, Artifact):
            object.__setattr__(self, "pin", PinKind(self.pin))
        for name in ("advisories", "contains", "supersedes"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name))))


@dataclass(frozen=True)
class Identity(Value):
    """One name by which a component is known everywhere; kept in a normal form."""

    kind: IdentityKind
    value: str

    if TYPE_CHECKING:

        def __init__(self, kind: IdentityKind | str, value: str) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", IdentityKind(self.kind))
        object.__setattr__(self, "value", self.value.strip().rstrip(".").lower())


@dataclass(frozen=True)
class Component(Value):
    """One thing in the estate, as a provider sees it."""

    id: str = field(metadata={"json": "component"})
    address: str | None = None
    labels: Mapping[str, str] = field(default_factory=lambda: Json({}))
    kind: ComponentKind = ComponentKind.GUEST
    owner: str | None = None
    identities: tuple[Identity, ...] = ()
    """By what it is known to other providers too: two that see one machine are merged by these."""
    at: datetime | None = None
    """When it was seen. Default when it was asked for."""

    if TYPE_CHECKING:

        def __init__(
            self,
            id: str,
            address: str | None = None,
            labels: Mapping[str, str] = ...,
            kind: ComponentKind | str = ComponentKind.GUEST,
            owner: str | None = None,
            identities: Iterable[Identity] = (),
            at: datetime | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", ComponentKind(self.kind))
        object.__setattr__(self, "labels", Json(self.labels))
        object.__setattr__(self, "identities", tuple(self.identities))


@dataclass(frozen=True)
class Installed(Value):
    """What is on a component: what runs, and what waits for a restart."""

    running: Mapping[str, str]
    pending: Mapping[str, str] = field(default_factory=lambda: Json({}))

    def __post_init__(self) -> None:
        object.__setattr__(self, "running", Json(self.running))
        object.__setattr__(self, "pending", Json(self.pending))
