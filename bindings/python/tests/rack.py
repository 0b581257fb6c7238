"""Appliances whose own tool flashes them, told in files, and a provider of them the full way.

What was flashed last is installed; one line a flash. The tool is a program of its own that outlives whoever started
it, and remembers its jobs by name. A second program sees the same world.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import patchcore as pc
from patchcore import provider as p

#: Flashes after a while, and says so.
TOOL = 'sleep "$1"; echo "$2" >> "$3/world"; mv "$4/begun" "$4/done"'


class Rack:
    """The appliance lb-1 as its files tell."""

    def __init__(self, folder: Path, works: float = 0.2) -> None:
        self.folder, self.works = folder, works

    def running(self) -> str:
        world = self.folder / "world"
        lines = (world.read_text() if world.exists() else "").split()
        return lines[-1] if lines else "7.4.1"

    def flash(self, job: str, version: str) -> bool:
        """Start a job, unless there is one of this name; a folder is made by one only."""
        place = self.folder / job
        try:
            place.mkdir()
        except FileExistsError:
            return (place / "wants").read_text() == version
        (place / "wants").write_text(version)
        (place / "begun").touch()
        subprocess.Popen(
            ["sh", "-c", TOOL, "sh", str(self.works), version, self.folder, place],
            start_new_session=True,
        )
        return True

    def job(self, name: str) -> str | None:
        """``begun``, ``done``, or None where nobody knows of it."""
        place = self.folder / name
        return next((word for word in ("done", "begun") if (place / word).exists()), None)


def work(request: p.DeployRequest) -> p.PatchChange:
    """All that an appliance can be told."""
    if isinstance(request, p.Apply):
        ((change,),) = [c.patches for c in request.changes]
        return change
    raise pc.exceptions.Unsupported(f"an appliance cannot {type(request).__name__.lower()}")


class Blocking:
    """With ``def``; by the keys of the rack, or blind as a tool that remembers nothing."""

    name = "rack"

    def __init__(
        self, folder: Path, *, blind: bool = False, early: float = 0, late: float = 0
    ) -> None:
        self.rack, self.blind, self.early, self.late = Rack(folder), blind, early, late

    def ports(self) -> p.Ports:
        return p.Ports(inventory=self, source=self, deployer=self)

    def listing(self, ctx: p.Context) -> p.Listing:
        return p.Listing((pc.Component("lb-1", kind="appliance"),))

    def available(self, ctx: p.Context, components: Sequence[str]) -> p.PerComponent[p.Available]:
        running = self.rack.running()
        newer = pc.Patch("lb-os", "7.4.2", running, "security", "reboot")
        return {"lb-1": p.Available(ctx.now(), (newer,) if running != "7.4.2" else ())}

    def capabilities(self) -> p.DeployerCapabilities:
        return p.DeployerCapabilities(restarts_with_apply=True)

    def scan(self, ctx: p.Context, components: Sequence[str]) -> p.PerComponent[p.Scan]:
        scan = p.Scan(ctx.now(), {"lb-os": self.rack.running()}, reboot_wanted=(), running_old=())
        return {"lb-1": scan}

    def guarantee(self, op: p.Op[p.DeployRequest]) -> p.Guarantee:
        return p.Blind() if self.blind else p.Keyed(timedelta(days=30))

    def undo(self, op: p.Op[p.DeployRequest]) -> p.Undo[p.DeployRequest]:
        return p.UndoUnavailable("an appliance keeps no second bank")

    def prepare(self, ctx: p.Context, request: p.DeployRequest) -> p.Prepared:
        change = work(request)
        running = self.rack.running()
        if running == change.version:
            holds = p.AlreadyHolds(p.Evidence(f"lb-os {running} runs", ctx.now()))
            return p.Prepared(p.Baseline.empty(), {"lb-1": holds})
        return p.Prepared(p.Baseline(1, {"running": running}), {"lb-1": p.Ready()})

    def begun(self, op: p.Op[p.DeployRequest]) -> p.Begun:
        version = work(op.request).version
        assert version is not None
        if self.rack.flash(op.token, version):
            return p.Started(p.Handle(1, {"job": op.token}))
        return p.Refused.by(pc.exceptions.ProviderFault(f"{op.key} stands for other work"))

    def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
        (self.rack.folder / "asked").touch()
        time.sleep(self.early)
        begun = self.begun(op)
        time.sleep(self.late)
        return begun

    def locate(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Located:
        if self.blind:
            return p.Unknown("the tool remembers nothing")
        found = self.found(ctx, op.token)
        return found or p.Running(p.Handle(1, {"job": op.token}))

    def found(self, ctx: p.Context, job: str) -> p.Settled | p.NotFound | None:
        word = self.rack.job(job)
        if word == "begun":
            return None
        if word is None:
            return p.NotFound()
        evidence = p.Evidence(f"lb-os {self.rack.running()} runs", ctx.now())
        return p.Settled({"lb-1": p.Done(evidence)})

    def observe(
        self, ctx: p.Context, op: p.Op[p.DeployRequest], handle: p.Handle
    ) -> p.Observed:
        found = self.found(ctx, handle.read(1)["job"])
        if isinstance(found, p.NotFound):
            return p.Lost("no appliance knows the job")
        return found or p.Working(timedelta(milliseconds=100), p.Progress(message="flashing"))


class Awaiting:
    """With ``async def`` wherever that may be."""

    name = "rack"

    def __init__(
        self, folder: Path, *, blind: bool = False, early: float = 0, late: float = 0
    ) -> None:
        self.inner, self.early, self.late = Blocking(folder, blind=blind), early, late
        self.capabilities = self.inner.capabilities
        self.guarantee, self.undo = self.inner.guarantee, self.inner.undo

    def ports(self) -> p.Ports:
        return p.Ports(inventory=self, source=self, deployer=self)

    async def listing(self, ctx: p.Context) -> p.Listing:
        await ctx.sleep(timedelta(milliseconds=1))
        return self.inner.listing(ctx)

    async def available(
        self, ctx: p.Context, components: Sequence[str]
    ) -> p.PerComponent[p.Available]:
        return self.inner.available(ctx, components)

    async def scan(self, ctx: p.Context, components: Sequence[str]) -> p.PerComponent[p.Scan]:
        return self.inner.scan(ctx, components)

    async def prepare(self, ctx: p.Context, request: p.DeployRequest) -> p.Prepared:
        return self.inner.prepare(ctx, request)

    async def begin(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Begun:
        (self.inner.rack.folder / "asked").touch()
        await asyncio.sleep(self.early)
        begun = self.inner.begun(op)
        await asyncio.sleep(self.late)
        return begun

    async def locate(self, ctx: p.Context, op: p.Op[p.DeployRequest]) -> p.Located:
        return self.inner.locate(ctx, op)

    async def observe(
        self, ctx: p.Context, op: p.Op[p.DeployRequest], handle: p.Handle
    ) -> p.Observed:
        return self.inner.observe(ctx, op, handle)


KINDS: dict[str, type[Any]] = {"blocking": Blocking, "awaiting": Awaiting}


def main(kind: str, folder: str, options: str) -> None:
    """A run in a program of its own."""
    from lb import begun

    place = Path(folder)
    begun(KINDS[kind](place, **json.loads(options)), pc.Journal(place / "run.db")).finished()
