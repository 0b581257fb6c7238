"""Load balancers that a tool of the house flashes, as a file tells: the world of the tests of providers.

One line a flash; what was flashed last is installed. A second program sees the same world.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import patchcore as pc
from patchcore import provider as p

POLICY = pc.Policy.from_toml(
    'name = "now"\napproval.from = ["maria"]\nwindow = [{ name = "w", when = "any time" }]\n'
    'ring = [{ name = "all", select = "*", soak = "0s" }]'
)


class Blocking(pc.SimpleProvider):
    """With methods that block."""

    name = "lb"

    def __init__(
        self,
        world: Path,
        sleep: float = 0,
        quiet: timedelta | None = timedelta(seconds=1),
        early: float = 0,
    ) -> None:
        self.world, self.sleep, self.quiet_after, self.early = world, sleep, quiet, early

    def components(self) -> list[pc.Component]:
        return [pc.Component("lb-1", address="10.0.0.7", labels={"tier": "lb"}, kind="appliance")]

    def available(self, component: pc.Component) -> list[pc.Patch]:
        return [pc.Patch("firmware", version="7.4.2", patch_class="bugfix", impact="reboot")]

    def scan(self, component: pc.Component) -> pc.Installed:
        assert component.address == "10.0.0.7"
        lines = (self.world.read_text() if self.world.exists() else "").split() or ["7.4.1"]
        return pc.Installed({"firmware": lines[-1]})

    def apply(self, component: pc.Component, patch: pc.Patch) -> None:
        self.world.with_suffix(".asked").touch()
        time.sleep(self.early)
        with self.world.open("a") as world:
            world.write(f"{patch.version}\n")
        time.sleep(self.sleep)


class Awaiting(pc.SimpleProvider):
    """The same with ``async def``."""

    name = "lb"

    def __init__(
        self,
        world: Path,
        sleep: float = 0,
        quiet: timedelta | None = timedelta(seconds=1),
        early: float = 0,
    ) -> None:
        self.blocking, self.sleep = Blocking(world, 0, quiet), sleep
        self.quiet_after, self.early = quiet, early

    async def components(self) -> Iterable[pc.Component]:
        await asyncio.sleep(0)
        return self.blocking.components()

    async def available(self, component: pc.Component) -> Iterable[pc.Patch]:
        return self.blocking.available(component)

    async def scan(self, component: pc.Component) -> pc.Installed:
        return self.blocking.scan(component)

    async def apply(self, component: pc.Component, patch: pc.Patch) -> None:
        self.blocking.world.with_suffix(".asked").touch()
        await asyncio.sleep(self.early)
        self.blocking.apply(component, patch)
        await asyncio.sleep(self.sleep)


KINDS = {"blocking": Blocking, "awaiting": Awaiting}


def begun(provider: pc.SimpleProvider | p.Provider, journal: pc.Journal) -> pc.Run:
    """A run on it."""
    estate = pc.Estate("house", [provider])
    plan = estate.plan(POLICY, requested_by="sam")
    return estate.run(plan.approve(plan.approval("maria")), journal)
