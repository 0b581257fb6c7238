"""From JSON to frozen values, by the annotations of their classes, and back."""

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

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Json:
        """Of plain data."""
        return cls(data)

    def to_dict(self) -> Any:
        """Plain data."""
        return thaw(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from . import _pydantic

        return _pydantic.schema(cls)


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


WORD = "__word__"
"""Where a class that is one of several forms of a value keeps its word (``_wire.variant``)."""

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
        return _one_of(get_args(hint), value)
    if origin is tuple:
        of = get_args(hint)
        if len(of) == 2 and of[1] is Ellipsis:
            return tuple(convert(of[0], part) for part in value)
        return tuple(convert(kind, part) for kind, part in zip(of, value))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return Json({key: convert(get_args(hint)[1], part) for key, part in value.items()})
    if hint is datetime:
        return moment(value)
    if hint is timedelta:
        return length(value) if isinstance(value, str) else timedelta(seconds=value)
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            return build(hint, _inside(hint, value))
        if issubclass(hint, Enum):
            return hint(value)
    return freeze(value)


def _inside(cls: Any, value: Any) -> Any:
    """What stands behind the word of a variant."""
    marked = getattr(cls, WORD, None)
    if marked is None:
        return value
    word, tag, bare = marked
    if tag is not None:
        return {key: part for key, part in value.items() if key != tag}
    inner = {} if isinstance(value, str) else value[word]
    return {next(iter(fields_of(cls))): inner} if bare else inner


def _is(kind: Any, value: Any) -> bool:
    """Whether a value is this one of several forms."""
    marked = getattr(get_origin(kind) or kind, WORD, None)
    if marked is None:
        if isinstance(kind, type) and issubclass(kind, Enum):
            return isinstance(value, str) and any(value == word.value for word in kind)
        return False
    word, tag, _ = marked
    if isinstance(value, str):
        return bool(value == word)
    return bool(value.get(tag) == word) if tag is not None else word in value


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    """A value of one of several forms, or of one that may be absent."""
    if value is None and type(None) in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1:
        return convert(kinds[0], value)
    for kind in kinds:
        if _is(kind, value):
            return convert(kind, value)
    names = ", ".join(getattr(kind, "__name__", str(kind)) for kind in kinds)
    raise ValueError(f"expected one of {names} but found {value!r:.200}")


_LENGTH = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?")


def length(text: str) -> timedelta:
    """A length of time as Rust writes it: ISO 8601 without days."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError(f"not a length of time: {text!r}")
    hours, minutes, seconds = match.groups()
    return timedelta(hours=int(hours or 0), minutes=int(minutes or 0), seconds=float(seconds or 0))
