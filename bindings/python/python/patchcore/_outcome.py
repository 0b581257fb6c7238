"""The operation protocol: what a provider says of an operation, before it, while it is at work, and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, Union

from ._decode import Json, freeze
from ._operation import Baseline, Handle
from ._wire import Value, variant
from .exceptions import Error
from .values import Failure
from .words import BracketKind

R = TypeVar("R")


@dataclass(frozen=True)
class _Why(Value):
    """A form that says why in words."""

    why: str


@variant("keyed")
@dataclass(frozen=True)
class Keyed(Value):
    """The target itself refuses a second start under one key, for as long as it remembers it."""

    memory: timedelta


@variant("locatable")
@dataclass(frozen=True)
class Locatable(Value):
    """No key, but a started one can be found: after a delay, and as long as the target remembers it."""

    consistency_delay: timedelta
    memory: timedelta


@variant("state_only")
@dataclass(frozen=True)
class StateOnly(Value):
    """Only the state can be seen, not whose doing it was. One whose caller died has stopped by then."""

    quiet_after: timedelta


@variant("blind")
@dataclass(frozen=True)
class Blind(Value):
    """Neither; an interrupted start needs a person."""


Guarantee = Union[Keyed, Locatable, StateOnly, Blind]
"""What the target promises about an operation whose caller vanished."""


@variant("nothing")
@dataclass(frozen=True)
class NothingToUndo(Value):
    """Nothing remains to be undone."""


@variant("by", bare=True)
@dataclass(frozen=True)
class UndoBy(Value, Generic[R]):
    """It is undone by this request."""

    request: R


@variant("unavailable")
class UndoUnavailable(_Why):
    """This tool cannot undo it; the component may still have another way back."""


Undo = Union[NothingToUndo, UndoBy[R], UndoUnavailable]
"""How an operation is undone."""


@variant("observed")
@dataclass(frozen=True)
class ReadBack(Value):
    """Read back from the target."""


@variant("attested")
@dataclass(frozen=True)
class Attested(Value):
    """A person says so."""

    by: str


@dataclass(frozen=True)
class Evidence(Value):
    """What was seen that proves a result, as a sentence and as data."""

    saw: str
    as_of: datetime
    """When it was seen. Evidence older than the effect proves nothing."""
    how: Union[ReadBack, Attested] = ReadBack()
    claimed: str | None = None
    """What the target said of itself, such as an exit status: a hint, never the proof."""
    facts: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "facts", freeze(self.facts))


@dataclass(frozen=True)
class _Proven(Value):
    """A form that stands for what proves it."""

    evidence: Evidence


@dataclass(frozen=True)
class Blocker(Value):
    """One reason why an operation cannot begin now."""

    failure: Failure
    passes: bool = False
    """Whether it may pass by itself, such as a lock that another process holds."""
    holder: str | None = None

    @classmethod
    def of(cls, error: Error) -> Blocker:
        """From an exception; it passes if that is retryable."""
        return cls(Failure.of(error), error.retryable, error.context.get("holder"))


@variant("ready")
@dataclass(frozen=True)
class Ready(Value):
    """It can begin."""


@variant("already_holds", bare=True)
class AlreadyHolds(_Proven):
    """What is wanted is already so; nobody says whose doing that was."""


@variant("blocked", bare=True)
@dataclass(frozen=True)
class Blocked(Value):
    """It cannot begin; all reasons at once."""

    blockers: tuple[Blocker, ...]

    @classmethod
    def by(cls, *errors: Error) -> Blocked:
        """By these exceptions."""
        return cls(tuple(Blocker.of(error) for error in errors))


@variant("changed_meanwhile")
@dataclass(frozen=True)
class ChangedMeanwhile(Value):
    """What is to be given back is no longer as it was left: somebody else changed it. A person decides."""

    expected: str
    found: str


Readiness = Union[Ready, AlreadyHolds, Blocked, ChangedMeanwhile]
"""Whether an operation can begin for one subject."""


class _OfSubjects(Value):
    """A form that says something of each subject."""

    subjects: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "subjects", Json(self.subjects))


@dataclass(frozen=True)
class Prepared(_OfSubjects):
    """The answer of ``prepare``. A subject that is left out counts as blocked."""

    baseline: Baseline
    subjects: Mapping[str, Readiness]


@variant("done", bare=True)
class Done(_Proven):
    """It worked, as read back from the target."""


@variant("failed", bare=True)
@dataclass(frozen=True)
class Failed(Value):
    """It did not. A failure is a claim too: the state is read after it all the same."""

    failure: Failure

    @classmethod
    def of(cls, error: Error, *blames: str) -> Failed:
        """From an exception, with the patches that are known to be the cause."""
        return cls(Failure.of(error, *blames))


SubjectResult = Union[Done, Failed]
"""One subject's result."""


@variant("settled")
@dataclass(frozen=True)
class Settled(_OfSubjects):
    """It is over, with a result per subject. A subject that is left out is lost."""

    subjects: Mapping[str, SubjectResult]


@variant("started", bare=True)
@dataclass(frozen=True)
class Started(Value):
    """It runs, and goes on when our connection ends."""

    handle: Handle


@variant("refused", bare=True)
@dataclass(frozen=True)
class Refused(Value):
    """The target refused before anything happened."""

    failure: Failure

    @classmethod
    def by(cls, error: Error) -> Refused:
        """By this exception."""
        return cls(Failure.of(error))


Begun = Union[Started, Settled, Refused]
"""The answer of ``begin``. An exception of it means *may have been sent*."""


@variant("not_found")
@dataclass(frozen=True)
class NotFound(Value):
    """There is no trace of it. The engine decides whether that means *not started*."""


@variant("running", bare=True)
@dataclass(frozen=True)
class Running(Value):
    """It was found, and runs."""

    handle: Handle


@variant("unknown")
class Unknown(_Why):
    """It cannot be told."""


Located = Union[NotFound, Running, Settled, Unknown]
"""The answer of ``locate``."""


@dataclass(frozen=True)
class Progress(Value):
    """How far an operation is, as the tool says."""

    percent: int | None = None
    message: str | None = None


@variant("running")
@dataclass(frozen=True)
class Working(Value):
    """It is at work; ask again after a while."""

    poll_after: timedelta
    progress: Progress = Progress()


@dataclass(frozen=True)
class Question(Value):
    """What an operation asks a person."""

    id: str
    text: str
    choices: tuple[str, ...] = ()


@variant("needs_person", bare=True)
@dataclass(frozen=True)
class NeedsPerson(Value):
    """It waits for a person."""

    question: Question


@variant("lost")
class Lost(_Why):
    """It is gone without a result."""


Observed = Union[Working, NeedsPerson, Settled, Lost]
"""The answer of ``observe``."""


@dataclass(frozen=True)
class DeployerCapabilities(Value):
    """What a deployer can do beside scanning and applying."""

    refresh: bool = False
    stage: bool = False
    reboot: bool = False
    roll_back: bool = False
    restarts_with_apply: bool = False
    """Applying includes the restart that a patch needs, and nobody else has to ask for it."""


@dataclass(frozen=True)
class BracketCapabilities(Value):
    """What a provider of brackets can take."""

    kinds: tuple[BracketKind, ...] = ()


@variant("held", bare=True)
class StillHeld(_Proven):
    """What was taken is there, as read back."""


@variant("not_held")
@dataclass(frozen=True)
class NotHeld(Value):
    """It is not; ``found`` says what is there instead."""

    found: str


Holding = Union[StillHeld, NotHeld]
"""Whether what an operation took is there."""
