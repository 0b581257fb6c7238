"""Conformance from Python: the reference passes, and each planted fault is named by the check that is about it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import patchcore as pc
from patchcore import provider as p
from patchcore import testing
from patchcore.testing import reference


def at_once(method: Callable[..., Any]) -> Callable[..., Any]:
    """A coroutine that never waits, as a plain method."""

    def call(*arguments: Any) -> Any:
        with pytest.raises(StopIteration) as stop:
            method(*arguments).send(None)
        return stop.value.value

    return call


def plain(cls: type[Any]) -> type[Any]:
    """The same provider with ``def`` in place of ``async def``."""
    methods = {
        name: at_once(method)
        for name, method in inspect.getmembers(cls, inspect.iscoroutinefunction)
    }
    assert methods
    return type(cls.__name__, (cls,), methods)


class Nobody(reference.ShortProvider):
    quiet_after = None  # type: ignore[assignment]


def of(base: type[Any], provider: type[Any]) -> type[Any]:
    """An outside with another provider."""

    def connect(self: Any) -> Any:
        return provider(self._world, reference.PASSWORD)

    return type(provider.__name__, (base,), {"connect": connect})


# The one line in an author's tests, for each way.
test_full = testing.conformance(reference.Full)
test_full_with_plain_methods = testing.conformance(of(reference.Full, plain(reference.Provider)))
test_short = testing.conformance(reference.Short)
test_short_with_plain_methods = testing.conformance(
    of(reference.Short, plain(reference.ShortProvider))
)
test_short_where_nobody_knows = testing.conformance(of(reference.Short, Nobody))


class Forgets(reference.Provider):
    async def listing(self, ctx: p.Context) -> p.Listing:
        return p.Listing(tuple(reference.sightings(self._world)[1:]))


class Newest(reference.Provider):
    """Puts in what is newest in place of what was approved."""

    async def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
        if isinstance(op.request, p.Apply):
            ((change,), staged) = op.request.changes, op.request.staged
            newest = tuple(
                p.PatchChange(c.patch, c.previous, self._world.machine(change.component).offer[c.patch][-1])
                for c in change.patches
            )
            op = p.Op(op.key, p.Apply((p.Change(change.component, newest),), staged), op.baseline)
        return await super().begin(ctx, op)


class Believes(reference.Provider):
    """Believes an exit code."""

    async def observe(
        self, ctx: p.Context, op: p.Op[p.DeployRequest], handle: p.Handle
    ) -> p.Observed:
        seen = await super().observe(ctx, op, handle)
        if not isinstance(seen, p.Settled) or not isinstance(op.request, p.Apply):
            return seen
        lied = [
            name
            for name, result in seen.subjects.items()
            if isinstance(result, p.Failed) and result.failure.kind == "verify_failed"
        ]
        done = p.Done(p.Evidence("exit 0", ctx.now()))
        return p.Settled({**seen.subjects, **dict.fromkeys(lied, done)})


class Remembers(reference.Provider):
    """Finds only what it began itself: a new process knows nothing."""

    def __init__(self, world: reference.World, password: str) -> None:
        super().__init__(world, password)
        self.mine: set[str] = set()

    async def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
        self.mine.add(op.token)
        return await super().begin(ctx, op)

    async def locate(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Located:
        found = await super().locate(ctx, op)
        running = isinstance(found, p.Running)
        return p.NotFound() if running and op.token not in self.mine else found


class Doubles(reference.Provider):
    """A key that the target forgets once its work is over."""

    async def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
        job = self._world.job(op.token)
        if job is not None and job.settled is not None and job.request == op.request:
            self._world.start(op.token, op)
            return p.Started(p.Handle(1, {"job": op.token}))
        return await super().begin(ctx, op)


class Impure(reference.Provider):
    calls = 0

    def guarantee(self, op: p.Op[p.DeployRequest]) -> p.Guarantee:
        self.calls += 1
        return p.Keyed(reference.MEMORY + timedelta(seconds=self.calls))


class Shows(reference.Provider):
    def __repr__(self) -> str:
        return f"<reference {self._password}>"


class Hasty(reference.Provider):
    async def observe(
        self, ctx: p.Context, op: p.Op[p.DeployRequest], handle: p.Handle
    ) -> p.Observed:
        seen = await super().observe(ctx, op, handle)
        return p.Working(timedelta(0)) if isinstance(seen, p.Working) else seen


class Polite(reference.Provider):
    """Calls a check that could not be run healthy."""

    async def probe(self, ctx: p.Context, request: p.ProbeRequest) -> p.ProbeAnswer:
        try:
            return await super().probe(ctx, request)
        except pc.exceptions.TargetError:
            return p.ProbeAnswer(p.ProbeVerdict.HEALTHY, "nothing heard")


class Silent(reference.Provider):
    """An unknown component answered by an empty scan."""

    def scan(self, ctx: p.Context, components: Any) -> dict[str, p.Scan | pc.Error]:
        answers = super().scan(ctx, components)
        empty = p.Scan(ctx.now(), {})
        return {name: empty if isinstance(a, pc.Error) else a for name, a in answers.items()}


class Final(reference.Provider):
    """Calls somebody else's lock final."""

    def _obstacles(self, machine: Any, name: str, request: p.DeployRequest) -> list[pc.Error]:
        return [
            pc.exceptions.Busy(error.message) if error.kind == "busy" else error
            for error in super()._obstacles(machine, name, request)
        ]


class Flashed(reference.ShortProvider):
    """What was flashed reported as running."""

    async def scan(self, component: pc.Component) -> pc.Installed:
        there = await super().scan(component)
        return pc.Installed({**there.running, **there.pending})


FULL, SHORT = reference.Full, reference.Short


@pytest.mark.parametrize(
    ("outside", "check"),
    [
        (of(FULL, Forgets), "inventory_names_every_component_of_the_outside"),
        (of(FULL, Newest), "deployer_apply_puts_in_exactly_the_planned_versions"),
        (of(FULL, Believes), "deployer_success_is_what_is_there_and_not_an_exit_code"),
        (of(FULL, Remembers), "operations_locate_finds_a_running_one_from_a_new_process"),
        (of(FULL, Doubles), "operations_begin_twice_has_one_effect"),
        (of(FULL, Impure), "operations_undo_and_guarantee_are_pure"),
        (of(FULL, Shows), "operations_nothing_shows_a_secret"),
        (of(FULL, Hasty), "operations_running_says_when_to_ask_again"),
        (of(FULL, Polite), "probe_that_cannot_run_is_an_error"),
        (of(FULL, Silent), "deployer_scan_does_not_know_nobody"),
        (of(FULL, Final), "deployer_lock_holder_is_a_reason_that_passes"),
        (of(SHORT, Flashed), "deployer_scan_shows_what_waits_for_a_restart"),
    ],
)
def test_a_planted_fault_is_named_by_its_check(outside: type[Any], check: str) -> None:
    named_alone(outside, check)


def named_alone(outside: type[Any], check: str) -> None:
    """A fault is found by the check that is about it, and by no other."""
    verdicts = {c.name: testing.run(c.name, outside()) for c in testing.checks(*testing.offered(outside))}
    assert [v for v in verdicts.values() if v.word == "not_run"] == []
    assert [name for name, verdict in verdicts.items() if verdict.word == "fault"] == [check]
    with pytest.raises(testing.NotConformant, match=check):
        (found,) = [c for c in testing.checks() if c.name == check]
        testing.demand(found, outside)


def test_what_the_reference_cannot_be_asked_is_known() -> None:
    verdicts = [testing.run(c.name, FULL()) for c in testing.checks(*testing.offered(FULL))]
    unrun = [str(verdict) for verdict in verdicts if verdict.word != "holds"]
    assert unrun == ["not run, the outside cannot make it: a verb that is not claimed: all of them are"]


def test_every_check_belongs_to_a_port_that_can_be_asked_for() -> None:
    assert set(testing.checks()) == set(testing.checks(*testing.PORTS))
    with pytest.raises(ValueError, match="there is no suite tide"):
        testing.checks("tide")


@pytest.mark.parametrize(
    ("outside", "code", "says"),
    [
        (None, 0, "88 passed"),
        ("patchcore.testing.reference:Short", 0, "58 passed"),
        ("planted:Outside", 1, "1 failed, 87 passed"),
        ("planted:Nobody", 2, "planted:Nobody cannot be loaded"),
    ],
)
def test_without_a_test_file(outside: str | None, code: int, says: str, tmp_path: Any) -> None:
    (tmp_path / "planted.py").write_text(
        "from patchcore.testing.reference import Full, Provider\n"
        "class Shows(Provider):\n    def __repr__(self): return self._password\n"
        "class Outside(Full):\n    def connect(self): return Shows(self._world, 'correct-horse-battery')\n"
    )
    env = {key: value for key, value in os.environ.items() if key != "PATCHCORE_OUTSIDE"}
    if outside is not None:
        env["PATCHCORE_OUTSIDE"] = outside
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "patchcore.testing"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, says in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr
