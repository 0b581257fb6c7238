"""The short way, over the same machines."""

from __future__ import annotations

from datetime import timedelta

from ..._provider import SimpleProvider
from ...exceptions import Busy
from ...provider import Change, PatchChange
from ...values import Component, Installed, Patch
from .world import World, drift, patches, sightings


class ShortProvider(SimpleProvider):
    """The short way."""

    name = "reference-short"
    version = "1.0.0"
    quiet_after = timedelta(seconds=60)

    def __init__(self, world: World, password: str) -> None:
        self._world, self._password = world, password

    def __repr__(self) -> str:
        return "<reference provider, the short way>"

    async def components(self) -> list[Component]:
        return sightings(self._world)

    async def available(self, component: Component) -> tuple[Patch, ...]:
        return patches(self._world.machine(component.id))

    async def scan(self, component: Component) -> Installed:
        machine = self._world.machine(component.id)
        return Installed(dict(machine.installed), dict(machine.pending))

    async def apply(self, component: Component, patch: Patch) -> None:
        machine = self._world.machine(component.id)
        if machine.locked:
            raise Busy(f"{component.id} is locked", retryable=True)
        change = PatchChange(patch.id, patch.previous, patch.version)
        for error in drift(machine, Change(component.id, (change,))):
            raise error
        machine.put_in([change])
