"""The estate: for programs that block, and for those in an event loop.

Both faces have the same methods over the same native half; ``tests/test_parity.py`` holds them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Union

from . import _native
from ._calls import wait
from ._journal import Journal
from ._provider import SimpleProvider
from ._run import AsyncRun, Run
from .values import Inventory

if TYPE_CHECKING:
    from . import provider as ports
    from .roll import ClusterRoll

Provider = Union[
    _native.Linux, _native.Http, _native.VsphereCluster, _native.Sim, SimpleProvider, "ports.Provider"
]
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
        """Join providers to an estate; nobody is asked anything yet.

        ``lock_lease`` is after how long without a sign of life the target of a run that vanished goes to another, and
        ``clock`` is by what time all this happens: by default the machine's, or that of a simulated estate in it.
        """
        if not isinstance(providers, Iterable):
            raise TypeError(f"expected a list of providers but found {providers!r:.100}; write [provider]")
        self._providers = tuple(providers)
        self._native = _native.Estate(name, list(self._providers), lock_lease, clock)

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
        return Inventory(self._native.discover().wait())

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
        return Run(self._native.run(_approved(approved), _native_of(journal)).wait())

    def run_rolling(
        self, approved: _native.ApprovedPlan, rolls: Iterable[ClusterRoll], journal: Journal
    ) -> Run:
        """Start a run of an approved plan in which clusters are rolled.

        Their hosts are emptied by checked rolls, patched in maintenance mode, and taken back. A roll that does not fit
        the plan is refused before anything is changed.
        """
        return Run(
            self._native.run_rolling(_approved(approved), _rolls(rolls), _native_of(journal)).wait()
        )

    def reopen(self, journal: Journal) -> Run | None:
        """Go on with the run that is open in a journal: what a crash left, or what was parked."""
        run = self._native.reopen(_native_of(journal)).wait()
        return None if run is None else Run(run)


class AsyncEstate(_EstateFace):
    """``Estate`` for programs with an event loop: the same methods, to be awaited."""

    __slots__ = ()

    async def discover(self) -> Inventory:
        """Ask all providers what is there. Reads only."""
        return Inventory(await wait(self._native.discover()))

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
        return AsyncRun(await wait(self._native.run(_approved(approved), _native_of(journal))))

    async def run_rolling(
        self, approved: _native.ApprovedPlan, rolls: Iterable[ClusterRoll], journal: Journal
    ) -> AsyncRun:
        """Start a run of an approved plan in which clusters are rolled. As ``Estate.run_rolling``."""
        return AsyncRun(
            await wait(self._native.run_rolling(_approved(approved), _rolls(rolls), _native_of(journal)))
        )

    async def reopen(self, journal: Journal) -> AsyncRun | None:
        """Go on with the run that is open in a journal: what a crash left, or what was parked."""
        run = await wait(self._native.reopen(_native_of(journal)))
        return None if run is None else AsyncRun(run)


def _approved(plan: _native.ApprovedPlan) -> _native.ApprovedPlan:
    if isinstance(plan, _native.ApprovedPlan):
        return plan
    raise TypeError(
        f"expected a plan that was approved but found {plan!r:.100}; "
        'plan.approve(plan.approval("maria")) makes one of a plan'
    )


def _rolls(rolls: Iterable[ClusterRoll]) -> list[Any]:
    from .roll import ClusterRoll

    given = list(rolls)
    for roll in given:
        if not isinstance(roll, ClusterRoll):
            raise TypeError(
                f"expected rolls of clusters but found {roll!r:.100}; "
                "patchcore.ClusterRoll.of(cluster, plan) makes one of a planned roll"
            )
    return [roll._handed_over() for roll in given]


def _native_of(journal: Journal) -> _native.Journal:
    if isinstance(journal, Journal):
        return journal._native
    raise TypeError(f'expected a journal but found {journal!r:.100}; patchcore.Journal("run.db") opens one')


def _history(journal: Journal | None) -> _native.Journal | None:
    return None if journal is None else _native_of(journal)
