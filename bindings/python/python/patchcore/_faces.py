"""The estate and its runs: for programs that block, and for those in an event loop.

Both faces have the same methods over the same native half; ``tests/test_parity.py`` holds them together.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Union

from . import _native
from ._calls import LEAVES, leave, told, wait
from ._decode import build
from ._journal import Journal
from ._provider import SimpleProvider
from .values import Inventory, Progress, Standing
from .words import Resolution, Step

if TYPE_CHECKING:
    from . import provider as ports
    from .events import Event

Provider = Union[_native.Linux, _native.Sim, SimpleProvider, "ports.Provider"]
"""What an estate is made of."""


class _EstateFace:
    """What asks nobody outside, and is the same in both faces."""

    __slots__ = ("_native", "_providers")

    def __init__(
        self,
        name: str,
        providers: Sequence[Provider],
        *,
        lock_lease: timedelta | str | None = None,
        clock: _native.VirtualClock | None = None,
    ) -> None:
        self._providers = tuple(providers)
        self._native = _native.Estate(name, list(providers), lock_lease, clock)

    @property
    def name(self) -> str:
        """Its name."""
        return self._native.name

    def now(self) -> datetime:
        """The time now, by the estate's clock: virtual on a simulated estate."""
        return self._native.now()

    def approve(self, plan: _native.Plan, *approvals: _native.Approval) -> _native.ApprovedPlan:
        """Count approvals of a plan now, by the estate's clock: for plans that were loaded from a file."""
        return self._native.approve(plan, list(approvals))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {list(self._providers)}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an estate is not pickled: make it where it is needed")


class Estate(_EstateFace):
    """All that is managed: a name and the providers that know its components."""

    __slots__ = ()

    def discover(self) -> Inventory:
        """Ask all providers what is there. Reads only."""
        return _inventory(self._native.discover().wait())

    def plan(
        self,
        policy: _native.Policy,
        *,
        requested_by: str,
        history: Journal | None = None,
        references: Iterable[tuple[str, str]] = (),
    ) -> _native.Plan:
        """Discover and plan. Reads and decides; changes nothing.

        With ``history``, what earlier runs of that journal rolled back is left out. ``references`` point into the
        organisation's own systems, such as ``("servicenow", "CHG-4711")``.
        """
        plan: _native.Plan = self._native.plan(
            policy, requested_by, _history(history), list(references)
        ).wait()
        return plan

    def run(self, approved: _native.ApprovedPlan, journal: Journal) -> Run:
        """Start a run of an approved plan. It goes on whether or not anybody holds its handle."""
        return Run(self._native.run(approved, journal._native).wait())

    def reopen(self, journal: Journal) -> Run | None:
        """Go on with the run that is open in a journal: what a crash left, or what was parked."""
        run = self._native.reopen(journal._native).wait()
        return None if run is None else Run(run)


class AsyncEstate(_EstateFace):
    """``Estate`` for programs with an event loop: the same methods, to be awaited."""

    __slots__ = ()

    async def discover(self) -> Inventory:
        """Ask all providers what is there. Reads only."""
        return _inventory(await wait(self._native.discover()))

    async def plan(
        self,
        policy: _native.Policy,
        *,
        requested_by: str,
        history: Journal | None = None,
        references: Iterable[tuple[str, str]] = (),
    ) -> _native.Plan:
        """Discover and plan. Reads and decides; changes nothing. As ``Estate.plan``."""
        plan: _native.Plan = await wait(
            self._native.plan(policy, requested_by, _history(history), list(references))
        )
        return plan

    async def run(self, approved: _native.ApprovedPlan, journal: Journal) -> AsyncRun:
        """Start a run of an approved plan. It goes on although the awaiting task is cancelled: reopen finds it."""
        return AsyncRun(await wait(self._native.run(approved, journal._native)))

    async def reopen(self, journal: Journal) -> AsyncRun | None:
        """Go on with the run that is open in a journal: what a crash left, or what was parked."""
        run = await wait(self._native.reopen(journal._native))
        return None if run is None else AsyncRun(run)


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


def _history(journal: Journal | None) -> _native.Journal | None:
    return None if journal is None else journal._native


def _inventory(text: str) -> Inventory:
    return Inventory(text)


def _standing(text: str) -> Standing:
    return build(Standing, json.loads(text))
