"""How a call of the native half is waited for, and what is said when somebody does not want to wait any more."""

from __future__ import annotations

import atexit
import logging
import os
from typing import Any

from . import _native
from .exceptions import Error

logger = logging.getLogger("patchcore")


async def wait(call: _native.Call) -> Any:
    """The answer of a call, without blocking the event loop. It begins when this is awaited."""
    import asyncio  # A program without an event loop does without what this costs.

    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def settle() -> None:
        if not over.done():
            over.set_result(None)

    def done() -> None:
        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:
            pass  # The loop was closed meanwhile, so nobody waits any more.

    call.start(done)
    try:
        await over
    except BaseException:
        call.abandon()
        raise
    return call.answer()


def told(run: _native.Run, in_flight: list[str], how: str) -> None:
    """Says what is waited for before a run is at a safe point."""
    what = "; ".join(in_flight) or "nothing"
    logger.warning("run %d is brought to a safe point; in flight: %s. %s", run.id, what, how)


LEAVES = "Ctrl-C leaves at once; the journal is kept, and reopening it goes on"

_process = os.getpid()
_left = False


def leave() -> None:
    """A person does not want to wait for a safe point."""
    global _left
    _left = True
    logger.warning("left before a safe point; the journal is kept, and reopening it goes on")


@atexit.register
def _at_exit() -> None:
    """A program that ends while a run goes on brings it to a safe point first, unless a person leaves."""
    if os.getpid() != _process:
        return
    try:
        if not _left:
            _to_safe_points()
    finally:
        # Nobody may be in the middle of a call when the interpreter ends.
        _native.close(_left)


def _to_safe_points() -> None:
    for run in _native.unfinished():
        run.park()
    for run in _native.unfinished():
        try:
            told(run, run.in_flight().wait(), LEAVES)
            run.parked().wait()
        except KeyboardInterrupt:
            leave()
            return
        except Error as error:
            logger.warning("run %d: %s", run.id, error.message)
