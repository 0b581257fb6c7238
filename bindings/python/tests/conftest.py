"""A small simulated estate, and providers that are as slow or as wrong as a test wants."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import patchcore as pc

# What the examples have beside them is used by the tests too.
sys.path.append(str(Path(__file__).resolve().parents[3] / "examples/python"))

POLICY = """
name = "any"
approval.from = ["maria", "jon"]
window = [{ name = "w", when = "any time" }]
"""

START = "2026-12-07T14:00:00Z"


@pytest.fixture
def policy() -> pc.Policy:
    return pc.Policy.from_toml(POLICY)


@pytest.fixture
def sim() -> pc.Sim:
    sim = pc.Sim(START, seed=7)
    sim.guest("web-1", "web-2", packages={"nginx": "1.22.1-9"}, labels={"tier": "web"})
    return sim.publish(
        pc.Patch("nginx", "1.22.1-10", patch_class="security", impact="service_restart")
    )


@pytest.fixture
def estate(sim: pc.Sim) -> pc.Estate:
    return pc.Estate("lab", [sim])


@pytest.fixture
def plan(estate: pc.Estate, policy: pc.Policy) -> pc.Plan:
    return estate.plan(policy, requested_by="sam")


@pytest.fixture
def approved(plan: pc.Plan) -> pc.ApprovedPlan:
    return plan.approve(plan.approval("maria"))
