"""What patchcore raises: every exception is an :class:`Error`, and the fitting builtin as well.

``str(error)`` is the full form for people, over several lines; ``error.message`` is its first line with what was
expected and what was found. Match on ``error.kind`` or on the class, never on text.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Mapping

from .words import ErrorKind

__all__ = [
    "ApprovalError",
    "Busy",
    "Cancelled",
    "Denied",
    "Error",
    "Fenced",
    "InvalidInput",
    "IoError",
    "JournalError",
    "JournalInUse",
    "NotAllowed",
    "NotFound",
    "PlanDrift",
    "ProviderFault",
    "TargetError",
    "Timeout",
    "Unreachable",
    "Unsupported",
]


class Error(Exception):
    """The base of all that patchcore raises."""

    kind: ErrorKind = ErrorKind.PROVIDER_FAULT
    """What went wrong, as a stable word."""

    def __init__(
        self,
        text: str = "",
        *,
        kind: ErrorKind | str | None = None,
        message: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        retryable: bool = False,
        retry_after: timedelta | None = None,
        operation: str | None = None,
        subject: str | None = None,
        consequence: str | None = None,
        hint: str | None = None,
        context: Mapping[str, str] | None = None,
        blames: Iterable[str] = (),
    ) -> None:
        super().__init__(text)
        if kind is not None:
            self.kind = ErrorKind(kind)
        self.expected, self.found = expected, found
        self.retryable, self.retry_after = retryable, retry_after
        self.operation, self.subject = operation, subject
        self.consequence, self.hint = consequence, hint
        self.context: Mapping[str, str] = MappingProxyType(dict(context or {}))
        self.blames = tuple(blames)
        if message is None:
            # Raised in Python: the same two forms as those of the core.
            message, text = self._said(text)
        self.message, self.text = message, text

    def _said(self, line: str) -> tuple[str, str]:
        """In one line and in several, of an error of which only the first line is given."""
        more = [f"expected {self.expected}"] if self.expected else []
        if self.found:
            more.append(f"but found {self.found}" if self.expected else f"found {self.found}")
        message = f"{line}: {' '.join(more)}" if more else line
        parts = [message, self.consequence, self.hint]
        return message, "\n   ".join(part for part in parts if part)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        parts = {
            "message": self.message,
            "expected": self.expected,
            "found": self.found,
            "retryable": self.retryable,
            "retry_after": self.retry_after,
            "operation": self.operation,
            "subject": self.subject,
            "consequence": self.consequence,
            "hint": self.hint,
            "context": dict(self.context),
            "blames": self.blames,
        }
        return _again, (type(self), self.text, str(self.kind), parts)


class InvalidInput(Error, ValueError):
    """The caller's input is wrong: a policy, an inventory file, an argument."""

    kind = ErrorKind.INVALID_INPUT


class NotFound(Error, LookupError):
    """A thing that is named does not exist."""

    kind = ErrorKind.NOT_FOUND


class ApprovalError(Error, ValueError):
    """The plan is not approved, or what was approved is not this plan."""

    kind = ErrorKind.NOT_APPROVED


class Denied(Error, ValueError):
    """The plan contains a patch that an earlier run rolled back."""

    kind = ErrorKind.DENIED


class PlanDrift(Error, RuntimeError):
    """What was approved and what is there now differ."""

    kind = ErrorKind.PLAN_DRIFT


class JournalError(Error, RuntimeError):
    """The journal cannot be used: another run, another estate, a newer version, or damage."""

    kind = ErrorKind.JOURNAL_DAMAGED


class JournalInUse(JournalError, BlockingIOError):
    """Another process, or another handle, drives this journal."""

    kind = ErrorKind.JOURNAL_IN_USE


class Busy(Error, BlockingIOError):
    """Somebody else holds what is needed."""

    kind = ErrorKind.BUSY


class Fenced(Error, RuntimeError):
    """Another orchestrator has taken over the lock of the target."""

    kind = ErrorKind.FENCED


class NotAllowed(Error, PermissionError):
    """The target refused us for lack of a right."""

    kind = ErrorKind.AUTHZ_DENIED


class Unreachable(Error, ConnectionError):
    """The target did not answer, or is not who it was."""

    kind = ErrorKind.UNREACHABLE


class Timeout(Error, TimeoutError):
    """A call took longer than its deadline."""

    kind = ErrorKind.TIMEOUT


class Cancelled(Error, RuntimeError):
    """The caller asked to stop."""

    kind = ErrorKind.CANCELLED


class Unsupported(Error, NotImplementedError):
    """This cannot be done here; also in a process that was forked off."""

    kind = ErrorKind.UNSUPPORTED


class ProviderFault(Error, RuntimeError):
    """A provider broke its contract: it raised, or answered what it must not."""

    kind = ErrorKind.PROVIDER_FAULT


class IoError(Error, OSError):
    """An input/output error of this machine, such as a full disk."""

    kind = ErrorKind.IO


class TargetError(Error, RuntimeError):
    """A target is broken, or what was done to it failed."""

    kind = ErrorKind.UNHEALTHY


_CLASSES: dict[ErrorKind, type[Error]] = {
    ErrorKind.INVALID_INPUT: InvalidInput,
    ErrorKind.NOT_FOUND: NotFound,
    ErrorKind.AMBIGUOUS_IDENTITY: InvalidInput,
    ErrorKind.AMBIGUOUS_TOOL: InvalidInput,
    ErrorKind.CYCLE: InvalidInput,
    ErrorKind.NOT_APPROVED: ApprovalError,
    ErrorKind.APPROVAL_MISMATCH: ApprovalError,
    ErrorKind.APPROVAL_EXPIRED: ApprovalError,
    ErrorKind.SELF_APPROVED: ApprovalError,
    ErrorKind.DENIED: Denied,
    ErrorKind.PLAN_DRIFT: PlanDrift,
    ErrorKind.RUN_OPEN: JournalError,
    ErrorKind.JOURNAL_IN_USE: JournalInUse,
    ErrorKind.JOURNAL_FOREIGN: JournalError,
    ErrorKind.JOURNAL_NEWER: JournalError,
    ErrorKind.JOURNAL_DAMAGED: JournalError,
    ErrorKind.DISK_FULL: IoError,
    ErrorKind.BUSY: Busy,
    ErrorKind.FENCED: Fenced,
    ErrorKind.UNHEALTHY: TargetError,
    ErrorKind.AUTHZ_DENIED: NotAllowed,
    ErrorKind.HOST_KEY: Unreachable,
    ErrorKind.UNREACHABLE: Unreachable,
    ErrorKind.REPO_ERROR: TargetError,
    ErrorKind.LOST_REBOOT: TargetError,
    ErrorKind.LOST_DIED: TargetError,
    ErrorKind.TIMEOUT: Timeout,
    ErrorKind.CANCELLED: Cancelled,
    ErrorKind.UNSUPPORTED: Unsupported,
    ErrorKind.HOST_MANAGED_BY_PROVIDER: Unsupported,
    ErrorKind.PROVIDER_FAULT: ProviderFault,
    ErrorKind.IO: IoError,
    ErrorKind.VERIFY_FAILED: TargetError,
    ErrorKind.INSTALL_FAILED: TargetError,
}


def _of_kind(kind: str, text: str, **parts: Any) -> Error:
    """The exception for an error of Rust."""
    word = ErrorKind(kind)
    return _CLASSES[word](text, kind=word, **parts)


def _again(cls: type[Error], text: str, kind: str, parts: dict[str, Any]) -> Error:
    """The exception as it was pickled."""
    return cls(text, kind=kind, **parts)
