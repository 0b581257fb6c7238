"""What the native half calls of objects written in Python, and the event loops that their coroutines run in."""

from __future__ import annotations

import json
import logging
import os
import threading
import traceback
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ._wire import encode
from .exceptions import Error, ProviderFault
from .words import ErrorKind

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from . import _native
    from ._context import Context

logger = logging.getLogger("patchcore.provider")

Given = Callable[[list[Any]], tuple[Any, ...]]
"""Makes the arguments of a call from plain data."""
Answered = Callable[[Any, Any], Any]
"""Makes plain data of an answer; beside it gets what was given."""


class Method:
    """One method: how it is called, what it is given, and what becomes of its answer."""

    __slots__ = ("answered", "given", "name", "takes_context")

    def __init__(
        self, name: str, given: Given, answered: Answered, *, takes_context: bool = False
    ) -> None:
        self.name, self.given, self.answered = name, given, answered
        self.takes_context = takes_context


class Joined:
    """An object whose methods are called: with ``def`` in a thread of the core, with ``async def`` in a loop of its own."""

    __slots__ = ("_described", "_methods", "_owner", "_targets")

    def __init__(
        self,
        owner: object,
        targets: dict[str, object],
        methods: dict[str, dict[str, Method]],
        described: dict[str, Any],
    ) -> None:
        self._owner, self._targets, self._methods = owner, targets, methods
        self._described = described

    def __repr__(self) -> str:
        return repr(self._owner)

    def describe(self) -> str:
        """What it says of itself once and for all, as JSON."""
        return json.dumps(self._described)

    def start(
        self, port: str, name: str, given: str, context: _native.Context | None, done: _native.Done
    ) -> Future[None] | None:
        """Call a method; its answer goes to ``done``. A coroutine's future is returned, to be cancelled."""
        try:
            method = self._methods[port][name]
            plain = json.loads(given)
            arguments = method.given(plain)
            if method.takes_context:
                arguments = (_context(context), *arguments)
            result = getattr(self._targets[port], method.name)(*arguments)
            if isinstance(result, Awaitable):
                import asyncio

                call = _finished(result, method, plain, done)
                return asyncio.run_coroutine_threadsafe(call, _loop_of(self._owner))
            done.returned(_json(method.answered(result, plain)))
        except BaseException as error:
            done.raised(json.dumps(raised(error)))
        return None

    def ask(self, port: str, name: str, given: str) -> tuple[bool, str]:
        """Call a plain method: whether it answered, and its answer or what it raised, as JSON."""
        try:
            method = self._methods[port][name]
            plain = json.loads(given)
            result = getattr(self._targets[port], method.name)(*method.given(plain))
            if isinstance(result, Awaitable):
                getattr(result, "close", lambda: None)()
                raise ProviderFault(f"{method.name} must be a plain def: it is pure, and asked at once")
            return True, _json(method.answered(result, plain))
        except BaseException as error:
            return False, json.dumps(raised(error))

    def object(self, name: str) -> Any:
        """What a method returns, as it is."""
        result = getattr(self._owner, name)()
        if isinstance(result, Awaitable):
            import asyncio

            async def finished() -> Any:
                return await result

            return asyncio.run_coroutine_threadsafe(finished(), _loop_of(self._owner)).result()
        return result


def joined(provider: object) -> Joined:
    """A provider of either way."""
    if callable(getattr(provider, "ports", None)):
        from . import _ports

        return _ports.joined(provider)
    from . import _provider

    return _provider.joined(provider)


def _context(native: _native.Context | None) -> Context:
    from ._context import Context

    assert native is not None
    return Context(native)


def _json(plain: Any) -> str:
    return json.dumps(plain, allow_nan=False)


async def _finished(
    result: Awaitable[Any], method: Method, given: list[Any], done: _native.Done
) -> None:
    try:
        done.returned(_json(method.answered(await result, given)))
    except BaseException as error:
        done.raised(json.dumps(raised(error)))


_KINDS: tuple[tuple[type[BaseException], ErrorKind, bool], ...] = (
    (TimeoutError, ErrorKind.TIMEOUT, True),
    (ConnectionError, ErrorKind.UNREACHABLE, True),
    (PermissionError, ErrorKind.AUTHZ_DENIED, False),
    (OSError, ErrorKind.IO, False),
)


def raised(error: BaseException) -> dict[str, Any]:
    """What an exception means, as plain data. The exception itself, with traceback and cause, goes to the log."""
    if isinstance(error, Error):
        logger.debug("a provider raised", exc_info=error)
        plain = {
            "kind": error.kind,
            "message": error.message,
            "retryable": error.retryable,
            "retry_after": error.retry_after and error.retry_after.total_seconds(),
            "consequence": error.consequence,
            "hint": error.hint,
            "blames": error.blames,
            "context": dict(error.context),
        }
        return {key: encode(part) for key, part in plain.items() if part is not None}
    kind, retryable = _meaning(error)
    text = str(error)
    said = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if kind is not ErrorKind.CANCELLED:
        logger.error("a provider raised", exc_info=error)
    return {"kind": kind.value, "message": said + _place(error), "retryable": retryable}


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
_loops: dict[int, tuple[int, asyncio.AbstractEventLoop, Any]] = {}


def _loop_of(owner: object) -> asyncio.AbstractEventLoop:
    """The event loop of one object, in a thread of its own: a run outlives the loop that it was started from, one
    provider does not hold up another, and clients that belong to a loop find the same one in every estate."""
    with _lock:
        known = _loops.get(id(owner))
        if known is None or known[0] != os.getpid():
            import asyncio

            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_run, args=(loop,), name="patchcore-loop", daemon=True)
            thread.start()
            known = _loops[id(owner)] = (os.getpid(), loop, _held(owner, id(owner)))
        return known[1]


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _held(owner: object, key: int) -> Any:
    """What ends the loop with its object; an object that cannot be watched keeps it for ever."""
    try:
        return weakref.ref(owner, lambda _: _end(key))
    except TypeError:
        return owner


def _end(key: int) -> None:
    # Not under the lock: this may be called in the middle of anything.
    known = _loops.pop(key, None)
    if known is not None and known[0] == os.getpid() and not known[1].is_closed():
        known[1].call_soon_threadsafe(known[1].stop)
