"""The author's day beyond signals and loops: uvloop, the log, a notebook, secrets."""

from __future__ import annotations

import asyncio
import logging
import pickle
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


SECRET = "s3cr3t-horse-battery"


class Keeps(rack.Blocking):
    """A provider with a credential in it, that stumbles with it in its hands."""

    def __init__(self, folder: Path, breaks: bool) -> None:
        super().__init__(folder)
        self.password, self.breaks = pc.Secret(SECRET), breaks

    def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
        token = self.password.reveal()
        assert token == SECRET
        if self.breaks:
            raise pc.exceptions.Unreachable(f"login as {self.password!r} with {self.password} failed")
        return super().begin(ctx, op)


@pytest.mark.parametrize("breaks", [False, True])
def test_a_secret_is_found_nowhere(breaks: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = tmp_path / "run.db"
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        provider = Keeps(tmp_path, breaks)
        run = lb.begun(provider, pc.Journal(journal))
        standing = run.finished()
        events = list(run.events())
        shown += [repr(provider.password), str(provider.password), f"{provider.password}", repr(vars(provider))]
        shown += [str(standing), str(run.report()), run.report().to_json(), run.plan.to_json(), str(run.plan)]
        shown += [repr(e) for e in events] + [str(e) for e in events] + [str(e.to_dict()) for e in events]
        shown += [run.why("lb-1"), *run.ledger(), *run.lines()]
        for value in (run.report(), run.plan, *events):
            shown.append(repr(pickle.dumps(value)))
    shown += [record.getMessage() + str(record.exc_info) for record in caplog.records]
    assert [text for text in shown if SECRET in text] == []
    assert any("***" in text for text in shown)
    for file in tmp_path.glob("run.db*"):
        assert SECRET.encode() not in file.read_bytes(), file
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(provider.password)
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(provider)


def test_a_planted_leak_is_seen(tmp_path: Path) -> None:
    """The search above would find one: a provider that puts its secret into a handle."""

    class Leaks(Keeps):
        def begun(self, op: p.Op[p.DeployRequest]) -> p.Begun:
            super().begun(op)
            return p.Started(p.Handle(1, {"job": op.token, "as": self.password.reveal()}))

    run = lb.begun(Leaks(tmp_path, False), pc.Journal(tmp_path / "run.db"))
    run.finished()
    assert any(SECRET in repr(event) for event in run.events())
    assert any(SECRET.encode() in file.read_bytes() for file in tmp_path.glob("run.db*"))


def test_a_secret_comes_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOL_PASSWORD", SECRET)
    (tmp_path / "password").write_text(SECRET + "\n")
    assert pc.Secret.from_env("TOOL_PASSWORD").reveal() == SECRET
    assert pc.Secret.from_file(tmp_path / "password").reveal() == SECRET
    assert pc.Secret(SECRET) == pc.Secret(SECRET) != pc.Secret("other")
    with pytest.raises(pc.exceptions.NotFound, match="TOOL_PASSWORT is not set"):
        pc.Secret.from_env("TOOL_PASSWORT")
    with pytest.raises(pc.exceptions.NotFound, match="nothing"):
        pc.Secret.from_file(tmp_path / "nothing")
