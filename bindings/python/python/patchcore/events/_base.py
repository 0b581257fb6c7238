"""What all events have: their place in the journal, their line, their kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar, get_type_hints

from .._decode import convert, thaw

_PLACE = {"place": True}
_DAMAGED = "damaged"


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
        """Plain data that ``from_dict`` reads."""
        told = {key: thaw(getattr(self, part.name)) for key, part in _keys(type(self)).items()}
        return {"kind": self.kind, **told}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Event:
        """Read it from plain data. It comes as the class of its kind."""
        of = Damaged if _DAMAGED in data else KINDS.get(data["kind"], Other)
        if not issubclass(of, cls):
            raise ValueError(f"expected {cls.__name__} but found an event {data['kind']}")
        hints = get_type_hints(of)
        return of(**{p.name: convert(hints[p.name], data[key]) for key, p in _keys(of).items() if key in data})

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from .. import _pydantic

        return _pydantic.schema(cls)


def _keys(cls: type[Event]) -> dict[str, Field[Any]]:
    """Its parts by their names in plain data. What a kind calls as a part of its place is called keeps its name here."""
    keys: dict[str, Field[Any]] = {}
    for part in fields(cls):
        name = part.metadata.get("json", part.name)
        keys[part.name if name in keys else name] = part
    return keys


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
    why: str = field(metadata={"json": _DAMAGED})
    """Why not."""


KINDS: dict[str, type[RunEvent] | type[ComponentEvent]] = {}
"""Every kind that this version knows, and its class."""

_E = TypeVar("_E", bound="type[RunEvent] | type[ComponentEvent]")


def event(kind: str) -> Callable[[_E], _E]:
    """The class of a kind."""

    def known(cls: _E) -> _E:
        cls.kind = kind
        KINDS[kind] = cls
        return cls

    return known
