"""What was promised to a Python author before there was any code, word for word."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

import patchcore as pc

OWN_PROVIDER = """
class Appliances(pc.SimpleProvider):
    quiet_after = timedelta(seconds=30)        # an apply whose caller died has stopped by then; None: a person decides
    async def components(self):                return [pc.Component("lb-1", address="10.0.0.7", labels={"tier": "lb"})]
    async def available(self, component):      return [pc.Patch("firmware", version="7.4.2", impact="reboot")]
    async def scan(self, component):           return pc.Installed({"firmware": await self.api.version(component.address)})
    async def apply(self, component, patch):   await self.api.flash(component.address, patch.version)
"""

#: Nothing but what a policy cannot do without: the people, and a window.
LEAST = """
approval.from = ["maria"]
window = [{ name = "any", when = "any time" }]
"""


class Api:
    """The tool that the author has."""

    def __init__(self) -> None:
        self.versions = {"10.0.0.7": "7.4.1"}
        self.flashed: list[tuple[str, str]] = []

    async def version(self, address: str) -> str:
        return self.versions[address]

    async def flash(self, address: str, version: str) -> None:
        self.flashed.append((address, version))
        self.versions[address] = version


def appliances(**more: Any) -> tuple[pc.SimpleProvider, Api]:
    names: dict[str, Any] = {"pc": pc, "timedelta": timedelta}
    exec(OWN_PROVIDER, names)
    provider, api = names["Appliances"](), Api()
    provider.api = api
    for name, value in more.items():
        setattr(provider, name, value)
    return provider, api


def test_an_own_provider_plans_and_runs_by_the_least_of_policies() -> None:
    provider, api = appliances()
    estate = pc.Estate("house", [provider])
    plan = estate.plan(pc.Policy.from_toml(LEAST), requested_by="sam")
    # An appliance restarts while its tool is at work, and nobody is told that the patch were not in effect.
    assert "firmware 7.4.1 → 7.4.2 (bugfix) · restarts as a part of it (firmware)" in str(plan), plan
    assert "1 found = 1 planned" in str(plan)
    run = estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory())
    run.finished_or_parked("5s")
    assert api.flashed == [("10.0.0.7", "7.4.2")], run.report()
    # The soak that nobody wrote is a day: the run is parked, and the patch is in.
    assert "seen at the planned versions: 1 of 1" in str(run.report())
    assert "soak of all until" in str(run.why("lb-1"))
    assert estate.plan(pc.Policy.from_toml(LEAST), requested_by="sam").is_empty


def test_a_provider_says_what_its_patches_are_for() -> None:
    policy = pc.Policy.from_toml(LEAST)
    for known in ("security", pc.PatchClass.SECURITY):
        provider, _ = appliances(patch_class=known)
        plan = pc.Estate("house", [provider]).plan(policy, requested_by="sam")
        assert "firmware 7.4.1 → 7.4.2 (security)" in str(plan)
    provider, _ = appliances(patch_class="urgent")
    with pytest.raises(pc.exceptions.InvalidInput, match="security, bugfix, enhancement, other") as found:
        pc.Estate("house", [provider])
    assert "urgent" in str(found.value)
