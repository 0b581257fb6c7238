"""From JSON to frozen values, by the annotations of their classes."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Json(Mapping[str, Any]):
    """A JSON object that cannot be changed, and can be compared and hashed."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[str, Any]) -> None:
        self._items = {key: freeze(value) for key, value in items.items()}

    def __getitem__(self, key: str) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[Any, ...]:
        return Json, (self._items,)


def freeze(value: Any) -> Any:
    """A JSON value in parts that cannot be changed."""
    if isinstance(value, Mapping):
        return value if isinstance(value, Json) else Json(value)
    if isinstance(value, (list, tuple)):
        return tuple(freeze(part) for part in value)
    return value


def thaw(value: Any) -> Any:
    """Plain JSON again: of values, enums, times and lengths of time too."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: thaw(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: thaw(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [thaw(part) for part in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value


_FRACTION = re.compile(r"\.(\d+)")


def moment(text: str) -> datetime:
    """A time as Rust writes it: with a ``Z``, and up to nine digits of a second."""
    text = _FRACTION.sub(lambda match: "." + match.group(1)[:6].ljust(6, "0"), text)
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


_FIELDS: dict[Any, dict[str, tuple[str, Any]]] = {}


def fields_of(cls: Any) -> dict[str, tuple[str, Any]]:
    """The fields of a value's class by their names in its JSON, with their types."""
    known = _FIELDS.get(cls)
    if known is None:
        hints = get_type_hints(cls)
        known = _FIELDS[cls] = {
            f.metadata.get("json", f.name): (f.name, hints[f.name])
            for f in dataclasses.fields(cls)
            if not f.metadata.get("place")
        }
    return known


def build(cls: type[T], data: Mapping[str, Any], **place: Any) -> T:
    """A value of a class; what it does not know is left out, what is absent has its default."""
    given = {
        name: convert(hint, data[key])
        for key, (name, hint) in fields_of(cls).items()
        if key in data
    }
    return cls(**given, **place)


def convert(hint: Any, value: Any) -> Any:
    """A JSON value as an annotation says."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return convert(next(arg for arg in get_args(hint) if arg is not type(None)), value)
    if origin is tuple:
        of = get_args(hint)
        if len(of) == 2 and of[1] is Ellipsis:
            return tuple(convert(of[0], part) for part in value)
        return tuple(convert(kind, part) for kind, part in zip(of, value))
    if hint is datetime:
        return moment(value)
    if hint is timedelta:
        return timedelta(seconds=value)
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            return build(hint, value)
        if issubclass(hint, Enum):
            return hint(value)
    return freeze(value)
