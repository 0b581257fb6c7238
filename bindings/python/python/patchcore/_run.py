"""A run that is being carried out: for programs that block, and for those in an event loop.

Both faces have the same methods over the same native half; ``tests/test_parity.py`` holds them together.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from . import _native
from ._calls import LEAVES, leave, told, wait
from ._decode import build
from .values import Progress, Standing
from .words import Resolution, Step

if TYPE_CHECKING:
    from .events import Event


class _RunFace:
    """What is known without asking, and is the same in both faces."""

    __slots__ = ("_native", "_told")

    def __init__(self, native: _native.Run) -> None:
        self._native = native
        self._told = False

    @property
    def id(self) -> int:
        """Its number in its journal."""
        return self._native.id

    @property
    def plan(self) -> _native.Plan:
        """The plan it carries out."""
        return self._native.plan

    @property
    def standing(self) -> Standing:
        """How it stands at this moment."""
        return _standing(self._native.standing())

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a live run is not pickled: reopen its journal, or pass its report()")


class Run(_RunFace):
    """A run that is being carried out. Losing the handle never stops it.

    ``with run:`` brings it to a safe point when it is left early. The first Ctrl-C in a call that blocks does so too
    and says what is in flight; the second leaves at once. The journal is kept in every case.
    """

    __slots__ = ()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._native.is_final():
            return
        try:
            self._park()
            self._native.parked().wait()
        except KeyboardInterrupt:
            leave()
            raise

    def _wait(self, call: _native.Call) -> Any:
        try:
            return call.wait()
        except KeyboardInterrupt:
            self._interrupted()
            raise

    def _interrupted(self) -> None:
        """Ctrl-C in a call that blocks."""
        if not self._native.is_final():
            self._park()

    def _park(self) -> None:
        """Asks for a safe point, and says once what is in flight: Ctrl-C may come before a call, in it, or after."""
        self._native.park()
        if not self._told:
            self._told = True
            told(self._native, self._native.in_flight().wait(), LEAVES)

    def events(self, since: int = 0) -> Iterator[Event]:
        """Its events after a place in the journal, until nothing more will happen by itself.

        Late readers lose nothing: it is a cursor over the journal.
        """
        from .events import read

        while rows := self._wait(self._native.events_after(since)):
            for row in rows:
                since = row[0]
                yield read(row)

    def lines(self, *, new: bool = False) -> Iterator[str]:
        """Its events as people read them: in the zone of its window, equal things folded.

        With ``new``, of a run that was reopened only from its taking over on.
        """
        lines = self._native.lines(new)
        while (line := self._wait(lines.next())) is not None:
            yield line

    def progress(self) -> Progress:
        """How far it is at this moment, as figures."""
        return build(Progress, json.loads(self._wait(self._native.progress())))

    def report(self) -> _native.Report:
        """What was observed."""
        report: _native.Report = self._wait(self._native.report())
        return report

    def ledger(self) -> tuple[str, ...]:
        """What it owes, a sentence each; empty when it owes nothing."""
        return tuple(self._wait(self._native.ledger()))

    def why(self, component: str) -> str:
        """Why a component is where it is: which gate, who holds what, since when, and when it may open."""
        return str(self._wait(self._native.why(component)))

    def finished(self) -> Standing:
        """Wait until nothing more will happen by itself."""
        return _standing(self._wait(self._native.finished()))

    def finished_or_parked(self, patience: timedelta | str) -> Standing:
        """Wait so until patience ends; then bring it to a safe point. The answer says when to call again."""
        return _standing(self._wait(self._native.finished_or_parked(patience)))

    def park(self) -> Standing:
        """Bring it to a safe point and wait until it is there; reopening its journal goes on."""
        return _standing(self._wait(self._native.parked()))

    def pause(self, by: str, reason: str) -> None:
        """Nothing new starts until somebody lets it go on."""
        self._wait(self._native.pause(by, reason))

    def unpause(self, by: str, reason: str) -> None:
        """Let a paused run go on."""
        self._wait(self._native.unpause(by, reason))

    def pause_before(
        self, step: Step | str, by: str, reason: str, *, component: str | None = None
    ) -> None:
        """A step does not begin until somebody says so, of one component or of all."""
        self._wait(self._native.pause_before(str(step), component, by, reason))

    def unpause_before(
        self, step: Step | str, by: str, reason: str, *, component: str | None = None
    ) -> None:
        """Let the step begin."""
        self._wait(self._native.unpause_before(str(step), component, by, reason))

    def cancel(self, by: str, reason: str) -> None:
        """Bring it to an end: nothing new starts, what is open is finished, what is owed is given back."""
        self._wait(self._native.cancel(by, reason))

    def lift_halt(self, by: str, reason: str) -> None:
        """Forgive the failures so far, and let a halted run go on."""
        self._wait(self._native.lift_halt(by, reason))

    def end(self, by: str, reason: str) -> None:
        """End a halted run, and give back what it owes."""
        self._wait(self._native.end(by, reason))

    def approve_ring(self, ring: str, by: str, comment: str = "without a comment") -> None:
        """Approve a ring that needs an approval of its own."""
        self._wait(self._native.approve_ring(ring, by, comment))

    def resolve(self, component: str, how: Resolution | str, by: str, reason: str) -> None:
        """Decide about a component that nobody else can judge."""
        self._wait(self._native.resolve(component, str(how), by, reason))


class AsyncRun(_RunFace):
    """``Run`` for programs with an event loop: the same methods, to be awaited.

    Cancelling a task that waits for it never stops the run; ``async with run:`` brings it to a safe point.
    """

    __slots__ = ()

    async def __aenter__(self) -> AsyncRun:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._native.is_final():
            return
        self._native.park()
        told(self._native, await wait(self._native.in_flight()), LEAVES)
        await wait(self._native.parked())

    async def events(self, since: int = 0) -> AsyncIterator[Event]:
        """Its events after a place in the journal, until nothing more will happen by itself."""
        from .events import read

        while rows := await wait(self._native.events_after(since)):
            for row in rows:
                since = row[0]
                yield read(row)

    async def lines(self, *, new: bool = False) -> AsyncIterator[str]:
        """Its events as people read them: in the zone of its window, equal things folded."""
        lines = self._native.lines(new)
        while (line := await wait(lines.next())) is not None:
            yield line

    async def progress(self) -> Progress:
        """How far it is at this moment, as figures."""
        return build(Progress, json.loads(await wait(self._native.progress())))

    async def report(self) -> _native.Report:
        """What was observed."""
        report: _native.Report = await wait(self._native.report())
        return report

    async def ledger(self) -> tuple[str, ...]:
        """What it owes, a sentence each; empty when it owes nothing."""
        return tuple(await wait(self._native.ledger()))

    async def why(self, component: str) -> str:
        """Why a component is where it is: which gate, who holds what, since when, and when it may open."""
        return str(await wait(self._native.why(component)))

    async def finished(self) -> Standing:
        """Wait until nothing more will happen by itself."""
        return _standing(await wait(self._native.finished()))

    async def finished_or_parked(self, patience: timedelta | str) -> Standing:
        """Wait so until patience ends; then bring it to a safe point. The answer says when to call again."""
        return _standing(await wait(self._native.finished_or_parked(patience)))

    async def park(self) -> Standing:
        """Bring it to a safe point and wait until it is there; reopening its journal goes on."""
        return _standing(await wait(self._native.parked()))

    async def pause(self, by: str, reason: str) -> None:
        """Nothing new starts until somebody lets it go on."""
        await wait(self._native.pause(by, reason))

    async def unpause(self, by: str, reason: str) -> None:
        """Let a paused run go on."""
        await wait(self._native.unpause(by, reason))

    async def pause_before(
        self, step: Step | str, by: str, reason: str, *, component: str | None = None
    ) -> None:
        """A step does not begin until somebody says so, of one component or of all."""
        await wait(self._native.pause_before(str(step), component, by, reason))

    async def unpause_before(
        self, step: Step | str, by: str, reason: str, *, component: str | None = None
    ) -> None:
        """Let the step begin."""
        await wait(self._native.unpause_before(str(step), component, by, reason))

    async def cancel(self, by: str, reason: str) -> None:
        """Bring it to an end: nothing new starts, what is open is finished, what is owed is given back."""
        await wait(self._native.cancel(by, reason))

    async def lift_halt(self, by: str, reason: str) -> None:
        """Forgive the failures so far, and let a halted run go on."""
        await wait(self._native.lift_halt(by, reason))

    async def end(self, by: str, reason: str) -> None:
        """End a halted run, and give back what it owes."""
        await wait(self._native.end(by, reason))

    async def approve_ring(self, ring: str, by: str, comment: str = "without a comment") -> None:
        """Approve a ring that needs an approval of its own."""
        await wait(self._native.approve_ring(ring, by, comment))

    async def resolve(self, component: str, how: Resolution | str, by: str, reason: str) -> None:
        """Decide about a component that nobody else can judge."""
        await wait(self._native.resolve(component, str(how), by, reason))


def _standing(text: str) -> Standing:
    return build(Standing, json.loads(text))
