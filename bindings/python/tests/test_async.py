"""Programs with an event loop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

import lb
import patchcore as pc


def test_a_whole_roll_out(sim: pc.Sim, policy: pc.Policy) -> None:
    async def main() -> pc.Report:
        estate = pc.AsyncEstate("lab", [sim])
        assert (await estate.discover()).components == ("web-1", "web-2")
        plan = await asyncio.create_task(estate.plan(policy, requested_by="sam"))
        async with pc.Journal.in_memory() as journal:
            assert await estate.reopen(journal) is None
            approved = plan.approve(plan.approval("maria"))
            async with await estate.run(approved, journal) as run:
                seen = [event async for event in run.events()]
                lines = [line async for line in run.lines()]
            assert seen and lines and (await run.progress()).run == run.id
            assert "web-1" in await run.why("web-1") and await run.ledger() == ()
            assert (await run.finished()) == run.standing
            return await run.report()

    assert asyncio.run(main()).exit_code == 0


def test_the_loop_is_free_meanwhile(tmp_path: Path) -> None:
    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        estate = pc.AsyncEstate("house", [lb.Blocking(tmp_path / "world", 0.5)])
        plan = await estate.plan(lb.POLICY, requested_by="sam")
        run = await estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory())
        assert (await run.finished()).verdict == "done"
        ticking.cancel()
        return ticks

    assert asyncio.run(main()) >= 20


def test_cancelling_never_loses_a_run(tmp_path: Path) -> None:
    async def main() -> None:
        estate = pc.AsyncEstate("house", [lb.Awaiting(tmp_path / "world", 0.3)])
        journal = pc.Journal.in_memory()
        plan = await estate.plan(lb.POLICY, requested_by="sam")
        starting = asyncio.create_task(estate.run(plan.approve(plan.approval("maria")), journal))
        await asyncio.sleep(0)  # it begins, and is cancelled before it has its answer
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        for _ in range(100):
            run = await estate.reopen(journal)
            if run is not None:
                break
            await asyncio.sleep(0.02)
        assert run is not None and run.id == 1
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(run.finished(), 0.05)
        assert not run.standing.is_final
        assert (await run.finished()).verdict == "done"

    asyncio.run(main())
    assert (tmp_path / "world").read_text() == "7.4.2\n"


def test_cancelling_stops_what_only_reads(tmp_path: Path) -> None:
    stopped = []

    class Hangs(lb.Awaiting):
        async def components(self) -> list[pc.Component]:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                stopped.append(True)
                raise
            return []

    async def main() -> None:
        estate = pc.AsyncEstate("house", [Hangs(tmp_path / "world")])
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(estate.discover(), 0.2)
        for _ in range(100):
            if stopped:
                return
            await asyncio.sleep(0.02)

    asyncio.run(main())
    assert stopped == [True]


def test_a_run_outlives_its_loop(tmp_path: Path) -> None:
    journal = pc.Journal.in_memory()
    estate = pc.AsyncEstate("house", [lb.Awaiting(tmp_path / "world", 0.3)])

    async def first() -> pc.AsyncRun:
        plan = await estate.plan(lb.POLICY, requested_by="sam")
        return await estate.run(plan.approve(plan.approval("maria")), journal)

    async def second(run: pc.AsyncRun) -> str | None:
        return (await run.finished()).verdict

    run = asyncio.run(first())
    time.sleep(0.1)
    assert asyncio.run(second(run)) == "done"


def test_leaving_early_parks(tmp_path: Path) -> None:
    async def main() -> None:
        estate = pc.AsyncEstate("house", [lb.Awaiting(tmp_path / "world", 0.3)])
        journal = pc.Journal.in_memory()
        plan = await estate.plan(lb.POLICY, requested_by="sam")
        async with await estate.run(plan.approve(plan.approval("maria")), journal) as run:
            async for _ in run.events():
                break
        assert run.standing.is_final
        again = await estate.reopen(journal)
        if again is not None:
            assert (await again.finished()).verdict == "done"

    asyncio.run(main())
    assert (tmp_path / "world").read_text() == "7.4.2\n"


def test_blocking_calls_work_inside_a_running_loop(estate: pc.Estate, policy: pc.Policy) -> None:
    async def cell() -> int:
        plan = estate.plan(policy, requested_by="sam")
        run = estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory())
        run.finished()
        return run.report().exit_code

    assert asyncio.run(cell()) == 0


def test_an_error_is_raised_where_it_is_awaited(sim: pc.Sim) -> None:
    async def main() -> None:
        estate = pc.AsyncEstate("lab", [sim, pc.Sim("2026-12-07T14:00:00Z")])
        await estate.discover()

    with pytest.raises(pc.exceptions.InvalidInput, match="two providers called sim"):
        asyncio.run(main())
