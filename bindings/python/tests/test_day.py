"""The author's day beyond signals and loops: uvloop, the log, a notebook."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
import uvloop

import lb
import patchcore as pc
import rack
from patchcore import provider as p


def test_under_uvloop(sim: pc.Sim, policy: pc.Policy, tmp_path: Path) -> None:
    async def main() -> str | None:
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        estate = pc.AsyncEstate("lab", [sim, lb.Awaiting(tmp_path / "world")])
        plan = await asyncio.create_task(estate.plan(policy, requested_by="sam"))
        run = await estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory())
        assert [event async for event in run.events()]
        return (await run.finished()).verdict

    # Twice: a run leaves nothing behind in a loop that is closed.
    for _ in range(2):
        (tmp_path / "world").unlink(missing_ok=True)
        loop = uvloop.new_event_loop()
        try:
            assert loop.run_until_complete(main()) == "done"
        finally:
            loop.close()


def test_what_the_core_tells_goes_to_logging(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaks(rack.Blocking):
        def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
            raise ConnectionResetError("the line broke")

    with caplog.at_level(logging.DEBUG, "patchcore"):
        lb.begun(Breaks(tmp_path), pc.Journal.in_memory()).finished()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            told = [r for r in caplog.records if r.name == "patchcore.execute.ensure"]
            if told:
                break
            time.sleep(0.02)
    assert told and told[0].levelno == logging.WARNING
    assert told[0].getMessage().startswith("begin may have been sent") and "the line broke" in told[0].getMessage()


def cell(*lines: str) -> Any:
    return nbformat.v4.new_code_cell("\n".join(lines))  # type: ignore[no-untyped-call]


def test_a_notebook(tmp_path: Path) -> None:
    """Executed by nbclient, in a kernel whose loop is running; what it shows is looked at."""
    book = nbformat.v4.new_notebook(  # type: ignore[no-untyped-call]
        cells=[
            cell(
                "import patchcore as pc",
                'sim = pc.Sim("2026-12-07T14:00:00Z").guest("web-1", packages={"nginx": "1"})',
                'sim.publish(pc.Patch("nginx", "2", patch_class="security"))',
                'estate = pc.Estate("lab", [sim])',
                "policy = pc.Policy.from_toml('approval.from = [\"maria\"]\\nwindow = [{ name = \"w\", when = \"any time\" }]')",
                'plan = estate.plan(policy, requested_by="sam")',
                "plan",
            ),
            cell(
                'with estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory()) as run:',
                "    pc.follow(run)",
                "run.report()",
            ),
            cell('await pc.AsyncEstate("lab", [sim]).discover()'),
        ]
    )
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    first, second, third = book.cells
    shown = first.outputs[-1].data
    assert "nginx 1 → 2" in shown["text/html"] and shown["text/html"].startswith("<pre>")
    streams = "".join(out.text for out in second.outputs if out.output_type == "stream")
    assert "the run is done" in streams
    assert "1 planned = 1 done" in second.outputs[-1].data["text/html"]
    assert "Inventory('lab'" in third.outputs[-1].data["text/plain"]
