"""Values are frozen, compared, hashed, pickled; live things refuse to be."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError
from datetime import datetime
from typing import Any

import pytest

import patchcore as pc


def test_values_pickle_compare_and_hash(
    plan: pc.Plan, policy: pc.Policy, estate: pc.Estate, approved: pc.ApprovedPlan
) -> None:
    run = estate.run(approved, pc.Journal.in_memory())
    standing = run.finished()
    values: list[Any] = [
        plan,
        policy,
        plan.approval("maria"),
        run.report(),
        standing,
        run.progress(),
        estate.discover(),
        pc.Patch("a", "2", impact="reboot", advisories=("CVE-1",)),
        pc.Component("a", address="b", labels={"k": "v"}),
        pc.Installed({"a": "1"}),
        *run.events(),
    ]
    for value in values:
        for again in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
            assert again == value and hash(again) == hash(value), value
        assert value != object() and repr(value)


def test_values_do_not_change(estate: pc.Estate, approved: pc.ApprovedPlan) -> None:
    run = estate.run(approved, pc.Journal.in_memory())
    event = next(run.events())
    with pytest.raises(FrozenInstanceError):
        event.seq = 0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        run.report().exit_code = 0  # type: ignore[misc]
    with pytest.raises(TypeError):
        pc.Installed({"a": "1"}).running["a"] = "2"  # type: ignore[index]


def test_what_lives_is_not_pickled(estate: pc.Estate, approved: pc.ApprovedPlan) -> None:
    journal = pc.Journal.in_memory()
    run = estate.run(approved, journal)
    for live, says in ((run, "live run"), (journal, "journal"), (estate, "estate")):
        with pytest.raises(TypeError, match=says):
            pickle.dumps(live)


def test_words_are_strings(estate: pc.Estate) -> None:
    word: str = pc.Impact.REBOOT
    assert word == "reboot" and f"{word}" == str(word) == "reboot"
    assert pc.Patch("a", "1", impact="reboot").impact is pc.Impact.REBOOT
    with pytest.raises(ValueError):
        pc.Patch("a", "1", impact="rebot")
    assert estate.now().tzinfo is not None


def test_a_moment_has_a_zone(plan: pc.Plan) -> None:
    with pytest.raises(pc.exceptions.InvalidInput, match="needs its zone"):
        plan.approval("maria", at=datetime(2026, 12, 7, 14))
    with pytest.raises(ValueError):
        pc.Sim("yesterday")


def test_plain_data_of_providers() -> None:
    patch = pc.Patch("a", "2", previous="1", impact="live", advisories=("b", "a"), size=7)
    assert pc.Patch.from_dict(patch.to_dict()) == patch
    component = pc.Component("a", kind="appliance", owner="dana", labels={"x": "y"})
    assert pc.Component.from_dict(component.to_dict()) == component
    installed = pc.Installed({"a": "1"}, {"a": "2"})
    assert pc.Installed.from_dict(installed.to_dict()) == installed


def test_pydantic_takes_values(plan: pc.Plan, policy: pc.Policy, estate: pc.Estate, approved: pc.ApprovedPlan) -> None:
    """Without patchcore depending on it: as they are, and from their plain form."""
    import json

    import pydantic

    class Ticket(pydantic.BaseModel):
        plan: pc.Plan
        policy: pc.Policy
        approval: pc.Approval
        report: pc.Report
        inventory: pc.Inventory
        patch: pc.Patch
        component: pc.Component
        standing: pc.Standing
        impact: pc.Impact

    run = estate.run(approved, pc.Journal.in_memory())
    ticket = Ticket(
        plan=plan,
        policy=policy,
        approval=plan.approval("maria"),
        report=(run.finished(), run.report())[1],
        inventory=estate.discover(),
        patch=pc.Patch("a", "2", impact="reboot"),
        component=pc.Component("a", labels={"k": "v"}),
        standing=run.standing,
        impact=pc.Impact.REBOOT,
    )
    assert ticket.plan is plan and ticket.patch.impact is pc.Impact.REBOOT
    again = Ticket.model_validate(json.loads(ticket.model_dump_json()))
    assert again == ticket
    schema = Ticket.model_json_schema()
    assert "digest" not in schema["$defs"] and "$ref" not in str(schema["properties"]["plan"])
    assert schema["properties"]["plan"]["properties"]["envelope"]["properties"]["targets"]
    with pytest.raises(pydantic.ValidationError, match="plan"):
        Ticket.model_validate({**json.loads(ticket.model_dump_json()), "plan": {"x": 1}})


def test_plain_forms_keep_to_their_published_schemas(
    plan: pc.Plan, policy: pc.Policy, estate: pc.Estate, approved: pc.ApprovedPlan
) -> None:
    import jsonschema  # type: ignore[import-untyped]

    run = estate.run(approved, pc.Journal.in_memory())
    run.finished()
    for value in (plan, policy, plan.approval("maria"), run.report()):
        schema = value.json_schema()
        jsonschema.validate(value.to_dict(), schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"window": 7}, schema)


def test_what_a_person_sees_of_values(estate: pc.Estate, approved: pc.ApprovedPlan) -> None:
    run = estate.run(approved, pc.Journal.in_memory())
    run.finished()
    assert "run is done\nring all, 2 components: 2 done" in str(run.progress())
    found = str(pc.Estate("lab", [pc.Sim("2026-12-07T14:00:00Z").guest("web-1", "db")]).discover())
    assert found == (
        "lab · 2 components, found 2026-12-07 14:00 UTC\n"
        "  db     guest  0 patches on offer\n  web-1  guest  0 patches on offer"
    )
    assert repr(pc.VirtualClock("2026-12-07T14:00:00Z")) == "<VirtualClock at 2026-12-07T14:00:00Z>"
    script = pc.Script.loses_reply("apply", 2).on("web-1", "web-2")
    assert repr(script) == 'Script.loses_reply("apply", 2).on("web-1", "web-2")'


def test_tables_and_html(plan: pc.Plan, estate: pc.Estate, approved: pc.ApprovedPlan) -> None:
    run = estate.run(approved, pc.Journal.in_memory())
    run.finished()
    for value in (plan, run.report()):
        html = value._repr_html_()
        assert html.startswith("<pre>") and "web-1" in html and "<b" not in html[5:]
        assert len(repr(value)) < 100 and len(str(value).splitlines()) > 5
