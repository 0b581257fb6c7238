"""From a plan to a report, on the simulated estate."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import lb
import patchcore as pc
from patchcore import events

HALTS = """
name = "halts"
approval.from = ["maria"]
window = [{ name = "w", when = "any time" }]
[[ring]]
name = "first"
select = "ring = first"
[[ring]]
name = "second"
select = "*"
needs_approval = true
"""


def test_a_whole_roll_out(sim: pc.Sim, estate: pc.Estate, approved: pc.ApprovedPlan) -> None:
    journal = pc.Journal.in_memory()
    run = estate.run(approved, journal)
    with run:
        seen = list(run.events())
    assert isinstance(seen[0], events.Started) and seen[0].requested_by == "sam"
    assert isinstance(seen[-1], events.Ended) and seen[-1].verdict == "done"
    assert [e.seq for e in seen] == sorted({e.seq for e in seen})
    assert not [e for e in seen if isinstance(e, (pc.Other, pc.Damaged))]
    applied = [e for e in seen if isinstance(e, events.Settled) and e.step == "apply"]
    assert sorted(e.component for e in applied) == ["web-1", "web-2"]
    assert applied[0].at.tzinfo == timezone.utc
    assert list(run.events(since=seen[-2].seq)) == seen[-1:]
    assert sim.version("web-2", "nginx") == "1.22.1-10"
    report = run.report()
    assert (report.exit_code, report.verdict) == (0, pc.Verdict.DONE)
    assert "web-1" in str(report) and run.ledger() == ()
    assert run.standing.state is pc.StandingState.ENDED and run.standing.is_final
    assert run.finished() == run.standing
    lines = list(run.lines())
    assert any("web-1" in line for line in lines)
    progress = run.progress()
    assert progress.rings[0].done == progress.rings[0].components == 2
    assert "web-1" in run.why("web-1")


def test_a_plan_is_read_kept_and_compared(
    tmp_path: Path, plan: pc.Plan, estate: pc.Estate, policy: pc.Policy
) -> None:
    assert plan.components == ["web-1", "web-2"] and not plan.is_empty
    assert "nginx" in str(plan) and "web-1" in plan.explain("nginx")
    assert repr(plan) == f"<Plan {plan.id} of estate lab, 2 components>"
    assert plan._repr_html_().startswith("<pre>plan ") and "<b" not in plan._repr_html_()
    with pytest.raises(pc.exceptions.NotFound, match="nothing-such"):
        plan.explain("nothing-such")
    plan.save(tmp_path / "plan.json")
    loaded = pc.Plan.load(tmp_path / "plan.json")
    assert loaded == plan == pc.Plan.from_dict(plan.to_dict()) and hash(loaded) == hash(plan)
    assert loaded.digest == plan.digest and plan.made == datetime(2026, 12, 7, 14, tzinfo=timezone.utc)
    assert plan.diff(loaded) == estate.plan(policy, requested_by="sam").diff(plan)
    assert "envelope" in plan.json_schema()["properties"]
    # Approved elsewhere: by another person, on another machine, in the time of the estate.
    approval = loaded.approval("maria", at=estate.now(), comment="looks right")
    approval.save(tmp_path / "maria.json")
    kept = pc.Approval.load(tmp_path / "maria.json")
    assert kept == approval and kept.comment == "looks right" and kept.plan_digest == plan.digest
    approved = estate.approve(loaded, kept)
    assert approved.plan == plan and approved.approvals == [approval]


def test_what_was_not_approved_does_not_run(plan: pc.Plan, estate: pc.Estate) -> None:
    for approvals, kind in (
        ([], pc.ErrorKind.NOT_APPROVED),
        ([plan.approval("sam")], pc.ErrorKind.SELF_APPROVED),
        ([plan.approval("eve")], pc.ErrorKind.NOT_APPROVED),
    ):
        with pytest.raises(pc.exceptions.ApprovalError) as caught:
            plan.approve(*approvals)
        assert caught.value.kind == kind
    with pytest.raises(TypeError):
        estate.run(plan, pc.Journal.in_memory())  # type: ignore[arg-type]


def test_steering(sim: pc.Sim) -> None:
    sim.guest("old-1", packages={"nginx": "1.22.1-9"}, labels={"ring": "first"})
    estate = pc.Estate("lab", [sim])
    plan = estate.plan(pc.Policy.from_toml(HALTS), requested_by="sam")
    with estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory()) as run:
        standing = run.finished()
        assert standing.state is pc.StandingState.AT_REST and "second" in standing.text
        assert "second" in run.why("web-1")
        with pytest.raises(pc.exceptions.InvalidInput):
            run.approve_ring("third", "maria")
        run.approve_ring("second", "maria", "seen")
        assert run.finished().state is pc.StandingState.ENDED
    with pytest.raises(pc.exceptions.InvalidInput):
        run.pause("sam", "too late")


def test_a_run_is_paused_and_goes_on(sim: pc.Sim) -> None:
    estate = pc.Estate("lab", [sim])
    plan = estate.plan(pc.Policy.from_toml(HALTS), requested_by="sam")
    run = estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory())
    run.finished()  # where it waits for an approval, it cannot be over before the pause
    run.pause("jon", "a call with the customer")
    run.approve_ring("second", "maria", "seen")
    paused = run.finished()
    assert paused.state is pc.StandingState.AT_REST and "jon" in " ".join(paused.waits)
    with pytest.raises(pc.exceptions.InvalidInput):
        run.resolve("web-1", "adopt-done", "jon", "guess")
    with pytest.raises(pc.exceptions.InvalidInput, match="no such resolution"):
        run.resolve("web-1", "adopt", "jon", "guess")
    run.unpause("jon", "over")
    assert run.finished().verdict == "done"


def test_leaving_early_keeps_the_journal_and_reopening_goes_on(
    tmp_path: Path, estate: pc.Estate, approved: pc.ApprovedPlan, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "patchcore"), pc.Journal(tmp_path / "run.db") as journal:
        assert estate.reopen(journal) is None
        with estate.run(approved, journal) as run:
            next(run.events())
        # In virtual time it may have been over before it was left.
        assert run.standing.is_final
        assert run.report().exit_code in (0, 4)
    assert journal.closed
    with pytest.raises(pc.exceptions.InvalidInput, match="was closed"):
        run.report()
    with pc.Journal(tmp_path / "run.db") as journal:
        again = estate.reopen(journal)
        if again is not None:
            assert again.finished().verdict == "done"


def test_parked_by_patience(tmp_path: Path) -> None:
    soaks = pc.Policy.from_toml(
        'approval.from = ["maria"]\nwindow = [{ name = "w", when = "any time" }]\n'
        'ring = [{ name = "all", select = "*", soak = "1h" }]'
    )
    estate = pc.Estate("house", [lb.Blocking(tmp_path / "world")])
    plan = estate.plan(soaks, requested_by="sam")
    with pc.Journal(tmp_path / "run.db") as journal:
        run = estate.run(plan.approve(plan.approval("maria")), journal)
        parked = run.finished_or_parked(patience="2s")
        assert parked.state is pc.StandingState.PARKED and "call again" in str(parked)
        assert parked.until is not None and parked.until > estate.now() + timedelta(minutes=55)
        assert run.report().exit_code == 4
        assert not run.standing.waits or "soak" in run.standing.waits[0]
        # In the same process it is reopened, and in the next.
        again = estate.reopen(journal)
        assert again is not None and again.id == run.id
        assert again.finished_or_parked(timedelta(0)).until == parked.until
    with pc.Journal(tmp_path / "run.db") as journal:
        later = estate.reopen(journal)
        assert later is not None and later.finished_or_parked("0s").until == parked.until


def test_a_fault_is_told_and_the_patch_is_denied(sim: pc.Sim, policy: pc.Policy) -> None:
    sim.script(pc.Script.postinst_fails("nginx", "1.22.1-10").on("web-1"))
    estate = pc.Estate("lab", [sim])
    journal = pc.Journal.in_memory()
    plan = estate.plan(policy, requested_by="sam")
    run = estate.run(plan.approve(plan.approval("maria")), journal)
    assert run.finished().state is pc.StandingState.AT_REST
    run.end("maria", "the package is broken")
    assert run.finished().verdict == "halted"
    report = run.report()
    assert report.exit_code == 1 and report.verdict == pc.Verdict.HALTED
    assert any(isinstance(e, events.Denied) for e in run.events())
    later = estate.plan(policy, requested_by="sam", history=journal)
    assert later.is_empty and "2 on the deny-list" in str(later)


def test_discovery(estate: pc.Estate) -> None:
    inventory = estate.discover()
    assert inventory.components == ("web-1", "web-2") and len(inventory) == 2
    assert inventory.gaps == () and inventory.at == estate.now()
    assert pc.Inventory.from_dict(inventory.to_dict()) == inventory
    assert inventory["web-1"]["labels"]["tier"] == "web"
    (found,) = inventory.findings("web-1")
    assert found["tool"] == "sim" and found["scan"]["installed"]["nginx"] == "1.22.1-9"
    assert [patch["to"] for patch in found["available"]["patches"]] == ["1.22.1-10"]
    with pytest.raises(pc.exceptions.NotFound, match="web-9 is not in the inventory"):
        inventory.findings("web-9")


def test_the_handle_of_a_run_is_never_lost(
    estate: pc.Estate, approved: pc.ApprovedPlan, sim: pc.Sim
) -> None:
    journal = pc.Journal.in_memory()
    first = estate.run(approved, journal).id
    again = estate.reopen(journal)
    assert again is None or again.id == first


def test_a_policy_is_tried_on_a_copy_of_ones_own_inventory(
    estate: pc.Estate, policy: pc.Policy
) -> None:
    found = estate.discover()
    copy = pc.Sim.from_inventory(found, seed=3)
    tried = pc.Estate("lab", [copy])
    plan = tried.plan(policy, requested_by="sam")
    assert plan.components == ["web-1", "web-2"]
    run = tried.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory())
    assert run.finished().verdict == "done"
    assert copy.version("web-1", "nginx") == "1.22.1-10"
    # The copy was patched, and nothing else was.
    assert estate.plan(policy, requested_by="sam").components == ["web-1", "web-2"]
