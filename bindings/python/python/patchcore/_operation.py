"""The operation protocol: what is asked of a provider that changes something. What it says is in `_outcome`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, Union

from . import _native
from ._decode import freeze
from ._wire import ALWAYS, Value, variant
from .exceptions import ProviderFault
from .values import Pin
from .words import BracketKind, PinKind

R = TypeVar("R")


@dataclass(frozen=True)
class PatchChange(Value):
    """One patch from a version to another; None is *not there*."""

    patch: str
    previous: str | None = field(default=None, metadata={"json": "from"})
    version: str | None = field(default=None, metadata={"json": "to"})
    pin: Pin = PinKind.VERSION

    def reversed(self) -> PatchChange:
        """The way back."""
        return PatchChange(self.patch, self.version, self.previous)


@dataclass(frozen=True)
class Change(Value):
    """What one component is to go through: every change exactly from a version and exactly to one."""

    component: str
    patches: tuple[PatchChange, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "patches", tuple(self.patches))

    def reversed(self) -> Change:
        """The way back."""
        return Change(self.component, tuple(patch.reversed() for patch in self.patches))


class _Request(Value):
    """What is asked of a port that changes something."""

    __slots__ = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whom it changes; never empty."""
        changes = getattr(self, "changes", None)
        named = self.components if changes is None else (c.component for c in changes)  # type: ignore[attr-defined]
        return tuple(sorted(set(named)))


@variant("refresh", tag="verb")
@dataclass(frozen=True)
class Refresh(_Request):
    """Fetch the catalogue anew. Changes caches only."""

    components: tuple[str, ...]


@variant("stage", tag="verb")
@dataclass(frozen=True)
class Stage(_Request):
    """Fetch what will be put in, and keep what is needed for the way back. Changes caches only."""

    changes: tuple[Change, ...]


@variant("apply", tag="verb")
@dataclass(frozen=True)
class Apply(_Request):
    """Put it in. ``staged`` is the key of the operation that fetched it and armed the way back."""

    changes: tuple[Change, ...]
    staged: str


@variant("reboot", tag="verb")
@dataclass(frozen=True)
class Reboot(_Request):
    """Restart."""

    components: tuple[str, ...]


@variant("roll_back", tag="verb")
@dataclass(frozen=True)
class RollBack(_Request):
    """Put the earlier versions back in: changes from what is there to what was there."""

    changes: tuple[Change, ...]
    staged: str


@variant("discard", tag="verb")
@dataclass(frozen=True)
class Discard(_Request):
    """Give back what a ``Stage`` kept."""

    components: tuple[str, ...]
    staged: str


DeployRequest = Union[Refresh, Stage, Apply, Reboot, RollBack, Discard]
"""The verbs of a deployer."""


@variant("take", tag="verb")
@dataclass(frozen=True)
class Take(_Request):
    """Take it. A target that lets go by itself does so later than ``at_least``."""

    components: tuple[str, ...]
    kind: BracketKind
    at_least: timedelta


@variant("give_back", tag="verb")
@dataclass(frozen=True)
class GiveBack(_Request):
    """Give it back. ``taken`` is the key of the operation that took it."""

    components: tuple[str, ...]
    kind: BracketKind
    taken: str


BracketRequest = Union[Take, GiveBack]
"""The verbs of a bracket."""


@dataclass(frozen=True)
class Answer(Value):
    """What a person answered to an operation's question."""

    question: str
    text: str
    by: str
    at: datetime


@dataclass(frozen=True)
class _Versioned(Value):
    v: int
    body: Any = field(default=None, metadata=ALWAYS)

    def __post_init__(self) -> None:
        object.__setattr__(self, "body", freeze(self.body))

    def read(self, v: int) -> Any:
        """The provider's own facts of one version; another one is refused."""
        if self.v != v:
            raise ProviderFault(
                f"a {type(self).__name__.lower()} has another version",
                expected=str(v),
                found=str(self.v),
                hint="use the provider version that wrote it, or resolve the operation by hand",
            )
        return self.body


class Baseline(_Versioned):
    """What was there before, as far as success and undo depend on it: a version of its shape, and plain data."""

    @classmethod
    def empty(cls) -> Baseline:
        """Nothing that success or undo depend on."""
        return cls(0)


class Handle(_Versioned):
    """By what a running operation is found again: a task id, an operation URL, a job folder. Never a secret."""


@dataclass(frozen=True)
class Op(Value, Generic[R]):
    """One operation: what is to be done, under which key, against which baseline."""

    key: str
    request: R
    baseline: Baseline
    answers: tuple[Answer, ...] = ()

    @property
    def token(self) -> str:
        """The key for targets that take few characters: ``pc`` and 30 hexadecimal digits, first a letter."""
        return _native.op_token(self.key)
