"""The forms in which the values of providers cross to the core: JSON as it reads it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, TypeVar

from ._decode import WORD, convert
from .exceptions import ProviderFault

T = TypeVar("T")
_V = TypeVar("_V", bound="Value")

ALWAYS = {"always": True}
"""A field that is written also where it is None."""


def variant(
    word: str, *, tag: str | None = None, bare: bool = False
) -> Callable[[type[T]], type[T]]:
    """One of several forms of a value, told apart by a word: in a field of its own, or around the value.

    With ``bare`` its only field stands for the whole of it.
    """

    def mark(cls: type[T]) -> type[T]:
        setattr(cls, WORD, (word, tag, bare))
        return cls

    return mark


class Value:
    """A frozen value with a plain form."""

    __slots__ = ()

    def to_dict(self) -> Any:
        """Plain data that ``from_dict`` reads."""
        return encode(self)

    @classmethod
    def from_dict(cls: type[_V], data: Any) -> _V:
        """Read it from plain data."""
        read: _V = convert(cls, data)
        return read

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from . import _pydantic

        return _pydantic.schema(cls)


def iso(value: timedelta) -> str:
    """A length of time as ISO 8601."""
    seconds, rest = divmod(value, timedelta(seconds=1))
    micros = rest // timedelta(microseconds=1)
    return f"PT{seconds}.{micros:06}S" if micros else f"PT{seconds}S"


def encode(value: Any) -> Any:
    """Plain JSON of a value. What has no such form is refused here, at the author's line."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"a moment needs its zone: {value!r}")
        return value.isoformat()
    if isinstance(value, timedelta):
        return iso(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): encode(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(part) for part in value]
    if isinstance(value, (set, frozenset)):
        return sorted(encode(part) for part in value)
    raise ProviderFault(f"expected plain data but found {value!r:.200}")


def _fields(value: Any) -> Any:
    plain = {
        f.metadata.get("json", f.name): encode(part)
        for f in dataclasses.fields(value)
        if (part := getattr(value, f.name)) is not None or f.metadata.get("always")
    }
    marked = getattr(type(value), WORD, None)
    if marked is None:
        return plain
    word, tag, bare = marked
    if tag is not None:
        return {tag: word, **plain}
    if bare:
        return {word: next(iter(plain.values()))}
    return {word: plain} if dataclasses.fields(value) else word
