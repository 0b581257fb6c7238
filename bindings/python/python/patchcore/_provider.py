"""Providers written in Python: what the native half calls, and the event loop that their coroutines run in."""

from __future__ import annotations

import json
import logging
import os
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, Union

from .exceptions import Error, InvalidInput, ProviderFault
from .values import Component, Installed, Patch
from .words import ErrorKind

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from . import _native

logger = logging.getLogger("patchcore.provider")

_T = TypeVar("_T")
Maybe = Union[_T, Awaitable[_T]]
"""A result, or an awaitable of it: methods may be ``def`` or ``async def``."""

METHODS = ("components", "available", "scan", "apply")


class SimpleProvider:
    """A provider the short way: what is there, and make it so. Methods may be ``def`` or ``async def``.

    Coroutines run in an event loop of patchcore's own, so clients that belong to a loop are made inside of them. A
    method that blocks keeps a thread and holds up nobody. What it raises fails its call and not the run; raise one of
    :mod:`patchcore.exceptions` where you know more than that it failed. An apply that is left by any exception but
    such an answer of the tool counts as *nobody knows*, and is judged by the next scans after ``quiet_after``.
    """

    name: str
    """What the estate calls it. Default the name of the class in lower case."""
    version: str = "0"
    """Its version, for the plan."""
    quiet_after: timedelta | None
    """The one honest question: an apply whose caller died has stopped by then. None: nobody knows, and a person decides."""

    def components(self) -> Maybe[Iterable[Component]]:
        """What is there."""
        raise NotImplementedError

    def available(self, component: Component) -> Maybe[Iterable[Patch]]:
        """What is on offer for a component."""
        raise NotImplementedError

    def scan(self, component: Component) -> Maybe[Installed]:
        """What is installed on it."""
        raise NotImplementedError

    def apply(self, component: Component, patch: Patch) -> Maybe[None]:
        """Put one patch in, and return when it is in."""
        raise NotImplementedError


def describe(provider: object) -> tuple[str, str, timedelta | None]:
    """Name, version and the honest answer of a provider."""
    kind = type(provider).__name__
    missing = [name for name in METHODS if not callable(getattr(provider, name, None))]
    if missing:
        raise InvalidInput(
            f"{kind} is no provider: it has no {', '.join(missing)}",
            operation="estate",
            hint="give the estate a Sim, a Linux, or an object with the methods of SimpleProvider",
        )
    try:
        quiet_after = provider.quiet_after  # type: ignore[attr-defined]
    except AttributeError:
        raise InvalidInput(
            f"{kind} does not say quiet_after: an apply whose caller died has stopped after how long?",
            operation="estate",
            hint="set quiet_after to a timedelta, or to None where nobody knows and a person decides",
        ) from None
    if quiet_after is not None and not isinstance(quiet_after, timedelta):
        raise InvalidInput(
            f"{kind}.quiet_after: expected a timedelta or None but found {quiet_after!r}",
            operation="estate",
        )
    name = getattr(provider, "name", None) or kind.lower()
    return str(name), str(getattr(provider, "version", "0")), quiet_after


def start(provider: Any, method: str, given: str, done: _native.Done) -> Future[None] | None:
    """Call a method of a provider; its answer goes to ``done``. A coroutine's future is returned, to be cancelled."""
    arguments, answer = _prepared(method, json.loads(given))
    try:
        result = getattr(provider, method)(*arguments)
        if isinstance(result, Awaitable):
            import asyncio

            return asyncio.run_coroutine_threadsafe(_finished(result, answer, done), _loop())
        done.returned(json.dumps(answer(result)))
    except BaseException as error:
        _raised(error, done)
    return None


async def _finished(
    result: Awaitable[Any], answer: Callable[[Any], Any], done: _native.Done
) -> None:
    try:
        done.returned(json.dumps(answer(await result)))
    except BaseException as error:
        _raised(error, done)


def _prepared(method: str, given: list[Any]) -> tuple[tuple[Any, ...], Callable[[Any], Any]]:
    """The arguments of a call, and what makes plain data of its answer."""
    if method == "components":
        now = given[0]
        return (), lambda answer: [c.to_dict() | {"at": now} for c in _all(answer, Component)]
    component = Component.from_dict(given[0])
    if method == "available":
        return (component,), lambda answer: [p.to_dict() for p in _all(answer, Patch)]
    if method == "scan":
        return (component,), lambda answer: _one(answer, Installed).to_dict()
    return (component, Patch.from_dict(given[1])), lambda answer: None


def _one(answer: Any, kind: type[_T]) -> _T:
    if not isinstance(answer, kind):
        raise ProviderFault(f"expected a patchcore.{kind.__name__} but found {answer!r:.200}")
    return answer


def _all(answer: Any, kind: type[_T]) -> list[_T]:
    if not isinstance(answer, Iterable):
        raise ProviderFault(f"expected patchcore.{kind.__name__} values but found {answer!r:.200}")
    return [_one(one, kind) for one in answer]


_KINDS: tuple[tuple[type[BaseException], ErrorKind, bool], ...] = (
    (TimeoutError, ErrorKind.TIMEOUT, True),
    (ConnectionError, ErrorKind.UNREACHABLE, True),
    (PermissionError, ErrorKind.AUTHZ_DENIED, False),
    (OSError, ErrorKind.IO, False),
)


def _raised(error: BaseException, done: _native.Done) -> None:
    """Says what an exception of a provider means. The exception itself, with traceback and cause, goes to the log."""
    if isinstance(error, Error):
        logger.debug("a provider raised", exc_info=error)
        done.raised(str(error.kind), error.message, error.retryable, error.hint)
        return
    kind, retryable = _meaning(error)
    text = str(error)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if kind is not ErrorKind.CANCELLED:
        logger.error("a provider raised", exc_info=error)
    done.raised(str(kind), said + _place(error), retryable, None)


def _meaning(error: BaseException) -> tuple[ErrorKind, bool]:
    """Its kind, and whether trying again may help."""
    for known, kind, retryable in _KINDS:
        if isinstance(error, known):
            return kind, retryable
    # Those of asyncio are known by name: a provider that blocks does without the module.
    if type(error).__module__ == "asyncio.exceptions":
        if type(error).__name__ == "CancelledError":
            return ErrorKind.CANCELLED, False
        if type(error).__name__ == "TimeoutError":
            return ErrorKind.TIMEOUT, True
    return ErrorKind.PROVIDER_FAULT, False


def _place(error: BaseException) -> str:
    """Where it was raised: a journal outlives the traceback."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({os.path.basename(frames[-1].filename)} line {frames[-1].lineno})" if frames else ""


_lock = threading.Lock()
_own: tuple[int, asyncio.AbstractEventLoop] | None = None


def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of providers, in a thread of its own: a run outlives the loop that it was started from."""
    global _own
    with _lock:
        if _own is None or _own[0] != os.getpid():
            import asyncio

            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=loop.run_forever, name="patchcore-loop", daemon=True)
            thread.start()
            _own = (os.getpid(), loop)
        return _own[1]
