"""Providers written in Python, the full way: through a run, through a kill, and through what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import lb
import patchcore as pc
import rack
from patchcore import events
from patchcore import provider as p

FOLDER = Path(__file__).parent


@pytest.fixture(params=sorted(rack.KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_roll_out(kind: str, tmp_path: Path) -> None:
    with lb.begun(rack.KINDS[kind](tmp_path), pc.Journal.in_memory()) as run:
        seen = list(run.events())
    assert run.standing.verdict == "done", run.report()
    assert (tmp_path / "world").read_text() == "7.4.2\n"
    (begun,) = [e for e in seen if isinstance(e, events.Begun)]
    assert begun.handle["body"]["job"].startswith("pc")
    assert "lb-os 7.4.1 → 7.4.2" in str(run.plan)


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("moment", ["early", "late"])
def test_killed_inside_begin_and_reopened_by_another_process(
    kind: str, moment: str, blind: bool, tmp_path: Path
) -> None:
    options = {"blind": blind, moment: 600}
    code = "import sys, rack; rack.main(*sys.argv[1:])"
    child = subprocess.Popen(
        [sys.executable, "-c", code, kind, str(tmp_path), json.dumps(options)],
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
    )
    until = time.monotonic() + 60
    signs = {"early": "asked", "late": "pc*/begun"}
    while not list(tmp_path.glob(signs[moment])) and time.monotonic() < until:
        assert child.poll() is None
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL

    with pc.Journal(tmp_path / "run.db") as journal:
        provider = rack.KINDS[kind](tmp_path, blind=blind)
        run = pc.Estate("house", [provider]).reopen(journal)
        assert run is not None
        standing = run.finished()
        told = list(run.events())
        assert any(isinstance(e, events.Quarantined) for e in told) == blind, [str(e) for e in told]
        if blind:
            # Nobody knows: a person looks at the appliance and decides.
            assert standing.state is pc.StandingState.AT_REST
            while moment == "late" and not (tmp_path / "world").exists():
                time.sleep(0.05)
            how = pc.Resolution.RETRY if moment == "early" else pc.Resolution.ADOPT_DONE
            run.resolve("lb-1", how, "dana", "the display says so")
            standing = run.finished()
        assert standing.verdict == "done", run.report()
    # The world's own file: it was flashed once.
    assert (tmp_path / "world").read_text() == "7.4.2\n"
    assert len(list(tmp_path.glob("pc*"))) == 1


class Wrong(rack.Blocking):
    """One method of it does what a test wants."""

    def __init__(self, folder: Path, method: str, does: Any, **options: Any) -> None:
        super().__init__(folder, **options)
        setattr(self, method, does)


def boom(*_: object) -> Any:
    raise ZeroDivisionError("the tool has a bug")


async def late(*_: object) -> Any:
    raise AssertionError("never awaited")


@pytest.mark.parametrize(
    ("method", "does", "says"),
    [
        ("listing", boom, "ZeroDivisionError: the tool has a bug"),
        ("listing", lambda ctx: [], "expected a patchcore.provider.Listing but found []"),
        ("scan", boom, "ZeroDivisionError"),
        ("scan", lambda ctx, c: {"lb-1": boom}, "expected a patchcore.provider.Scan but found"),
        ("scan", lambda ctx, c: p.NotFound(), "expected a mapping of components but found NotFound()"),
        ("scan", lambda ctx, c: {"lb-1": pc.exceptions.Unreachable("it is silent")}, "it is silent"),
        ("available", lambda ctx, c: {}, "lb-1"),
    ],
)
def test_what_goes_wrong_is_a_gap_and_spoils_nothing(
    method: str, does: Any, says: str, tmp_path: Path, sim: pc.Sim
) -> None:
    estate = pc.Estate("house", [sim, Wrong(tmp_path, method, does)])
    inventory = estate.discover()
    assert says in str(inventory.gaps)
    assert estate.plan(lb.POLICY, requested_by="sam").components == ["web-1", "web-2"]


@pytest.mark.parametrize("does", [boom, late, lambda op: "keyed", lambda op: None])
def test_who_cannot_say_what_is_promised_promises_nothing(does: Any, tmp_path: Path) -> None:
    provider = Wrong(tmp_path, "guarantee", does)
    provider.begin = boom  # type: ignore[method-assign,assignment]
    run = lb.begun(provider, pc.Journal.in_memory())
    assert run.finished().state is pc.StandingState.AT_REST
    # Without a promise an interrupted begin is nobody's to repeat.
    assert any(isinstance(e, events.Quarantined) for e in run.events())
    assert not (tmp_path / "world").exists()


@pytest.mark.parametrize(
    ("ports", "says"),
    [
        (lambda: 7, "expected a patchcore.provider.Ports but found 7"),
        (lambda: p.Ports(inventory=object()), "its inventory port has no listing"),  # type: ignore[arg-type]
        (lambda: p.Ports(deployer=object()), "its deployer port has no begin, guarantee, locate"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_provider_is_told_when_it_joins(ports: Any, says: str, tmp_path: Path) -> None:
    provider = rack.Blocking(tmp_path)
    provider.ports = ports  # type: ignore[method-assign]
    with pytest.raises(pc.exceptions.InvalidInput, match=says):
        pc.Estate("house", [provider])


def test_a_wrong_kind_of_check_is_told_when_it_joins() -> None:
    class Probe:
        name = "probe"

        def ports(self) -> p.Ports:
            return p.Ports(probe=self)

        def kinds(self) -> list[str]:
            return ["ping"]

        def probe(self, ctx: p.Context, request: p.ProbeRequest) -> p.ProbeAnswer:
            raise NotImplementedError

    with pytest.raises(pc.exceptions.InvalidInput, match="some of http, command, each once\n   but found ping"):
        pc.Estate("house", [Probe()])


def test_one_that_blocks_in_its_loop_holds_up_no_other(tmp_path: Path) -> None:
    """Each provider has a loop of its own."""

    class Stuck(rack.Awaiting):
        name = "stuck"

        async def listing(self, ctx: p.Context) -> p.Listing:
            time.sleep(2)
            return p.Listing(())

    class Timed(rack.Awaiting):
        async def listing(self, ctx: p.Context) -> p.Listing:
            self.began = time.monotonic()
            return await super().listing(ctx)

        async def scan(self, ctx: p.Context, components: Any) -> p.PerComponent[p.Scan]:
            self.ended = time.monotonic()
            return await super().scan(ctx, components)

    timed = Timed(tmp_path)
    pc.Estate("house", [Stuck(tmp_path), timed]).discover()
    assert timed.ended - timed.began < 1


def test_the_context_of_a_call(tmp_path: Path) -> None:
    seen: list[p.Context] = []

    class Nosy(rack.Blocking):
        def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
            seen.append(ctx)
            assert ctx.key == op.key and not ctx.is_cancelled()
            assert ctx.now() < ctx.deadline and ctx.time_left().total_seconds() > 1
            ctx.check()
            ctx.progress("flashing", percent=3)
            ctx.sleep_blocking(timedelta(milliseconds=10))
            return super().begin(ctx, op)

    assert lb.begun(Nosy(tmp_path), pc.Journal.in_memory()).finished().verdict == "done"
    assert len(seen) == 1 and "key=" in repr(seen[0])


def test_virtual_time_needs_no_waiting(tmp_path: Path) -> None:
    class Slow(rack.Awaiting):
        async def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
            await ctx.sleep("3h")
            return await super().begin(ctx, op)

        async def observe(
            self, ctx: p.Context, op: p.Op[p.DeployRequest], handle: p.Handle
        ) -> p.Observed:
            while self.inner.rack.job(op.token) == "begun":
                time.sleep(0.05)
            return await super().observe(ctx, op, handle)

    clock = pc.VirtualClock("2026-12-07T14:00:00Z")
    estate = pc.Estate("house", [Slow(tmp_path)], clock=clock)
    plan = estate.plan(lb.POLICY, requested_by="sam")
    before = clock.now()
    run = estate.run(estate.approve(plan, plan.approval("maria")), pc.Journal.in_memory())
    assert run.finished().verdict == "done", run.report()
    assert (clock.now() - before).total_seconds() >= 3 * 3600
