"""Rolls of clusters: planned, refused with a proof, drawn, stored and interrupted."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any, Union

import pytest

import patchcore as pc
from patchcore import _native, roll
from test_shapes import Differs, Walk

ROOT = Path(__file__).resolve().parents[3]
CLUSTER = ROOT / "examples/clusters/eight_hosts.json"
EXAMPLE = ROOT / "examples/python/plan_a_roll.py"


def three(**limits: Any) -> roll.Cluster:
    hosts = [roll.Host(f"h{n}", [65536, 32]) for n in range(3)]
    vms = [roll.Vm(f"v{n}", f"h{n}", [16384, 4], 16384) for n in range(3)]
    return roll.Cluster(
        ["memory_mib", "vcpu"],
        hosts,
        vms,
        limits=roll.Limits(**limits),
        patch_time=roll.PatchTime(1200, 1800),
        migration=roll.Migration(2, 2, 640),
    )


@pytest.fixture(scope="module")
def plan() -> roll.RollPlan:
    return pc.plan_roll(pc.Cluster.from_file(CLUSTER))


def test_a_plan_is_typed_frozen_and_told(plan: roll.RollPlan) -> None:
    assert str(plan).startswith("roll of 8 hosts with 29 machines · knee of time and moves · ")
    assert re.fullmatch(r"<RollPlan of 8 hosts, \d+ moves, \d:\d\d:\d\d>", repr(plan))
    assert repr(plan.cluster) == "<Cluster of 8 hosts and 29 machines>"
    figures, bounds = plan.figures, plan.bounds
    assert figures.patched == 8 and figures.left_out == 0 and plan.left_out == ()
    assert figures.moved_mib >= bounds.moved_mib and figures.makespan_ms >= bounds.makespan_ms
    assert plan.gap_permille[0] == (figures.moved_mib - bounds.moved_mib) * 1000 // bounds.moved_mib
    assert plan.makespan.total_seconds() * 1000 == figures.makespan_ms
    assert plan.objective is roll.Objective.KNEE and len(plan.others) > 0
    moves = [step for step in plan.steps if isinstance(step.action, roll.Migrate)]
    assert len(moves) == figures.moves and all(step.why for step in moves)
    assert any(isinstance(step.reason, roll.Spill) for step in moves)
    stops = [step for step in plan.steps if isinstance(step.action, roll.Stop)]
    assert [step.reason for step in stops] == [roll.Pinned("its licence dongle is in p4")]
    assert plan.steps[0].until_ms >= plan.steps[0].from_ms
    with pytest.raises(FrozenInstanceError):
        moves[0].why = ""  # type: ignore[misc]
    with pytest.raises(AttributeError):
        plan.figures = figures  # type: ignore[misc]


def test_it_is_stored_and_checked_when_it_is_read(plan: roll.RollPlan) -> None:
    for again in (
        roll.RollPlan.from_dict(plan.to_dict()),
        roll.RollPlan.from_json(plan.to_json()),
        pickle.loads(pickle.dumps(plan)),
        copy.deepcopy(plan),
    ):
        assert again == plan and hash(again) == hash(plan) and again.svg() == plan.svg()
    broken = plan.to_dict()
    patch = next(step for step in broken["steps"] if "patch" in step["action"])
    patch["needs"] = []
    with pytest.raises(pc.exceptions.InvalidInput, match="in another order"):
        roll.RollPlan.from_dict(broken)
    lied = plan.to_dict()
    lied["figures"]["makespan_ms"] = 1
    assert roll.RollPlan.from_dict(lied).figures == plan.figures


def test_a_cluster_is_the_same_in_every_form(plan: roll.RollPlan) -> None:
    cluster = pc.Cluster.from_file(CLUSTER)
    assert pc.Cluster.from_dict(cluster.to_dict()) == cluster == pickle.loads(pickle.dumps(cluster))
    assert plan.cluster == cluster
    # Plain data is as good.
    assert pc.plan_roll(json.loads(CLUSTER.read_text())) == plan
    assert isinstance(cluster.vms[11].mobility, roll.Pin)
    with pytest.raises(ValueError):
        roll.Host("a", [1], state="half open")


def test_pydantic_takes_a_plan(plan: roll.RollPlan) -> None:
    import pydantic

    class Change(pydantic.BaseModel):
        plan: roll.RollPlan

    change = Change(plan=plan)
    assert Change.model_validate_json(change.model_dump_json()).plan == plan
    assert "steps" in Change.model_json_schema()["properties"]["plan"]["properties"]


def test_a_picture_for_notebooks(plan: roll.RollPlan) -> None:
    svg = plan._repr_svg_()
    assert svg == plan.svg() and svg.count(" is down from ") == 8
    assert "prefers-color-scheme:dark" in svg


def test_what_has_no_roll_is_raised_with_its_proof() -> None:
    with pytest.raises(roll.Infeasible, match="no roll patches every host") as raised:
        pc.plan_roll(three(ha=roll.Failures(2), max_hosts_down=1))
    for error in (raised.value, pickle.loads(pickle.dumps(raised.value))):
        assert isinstance(error, pc.exceptions.Unsupported)
        assert isinstance(error, roll.Infeasible)
        assert isinstance(error.certificate, roll.AggregateCapacity)
        assert error.certificate.resource in ("memory_mib", "vcpu")
        assert roll.LeaveOut(error.certificate.host) in error.relaxations
        assert any(isinstance(other, roll.Set) for other in error.relaxations)
    with pytest.raises(roll.Infeasible) as raised:
        pc.plan_roll(three(max_hosts_down=0))
    assert raised.value.certificate == roll.DomainLimit("h0", "limits.max_hosts_down", 1, 0)
    # Stopped before anything was looked at: nothing is claimed.
    not_planned = roll.NotPlanned("x", not_found={"patched": 1, "left": ["a"], "exhausted": False})
    again = pickle.loads(pickle.dumps(not_planned))
    assert (again.patched, again.left, again.exhausted, str(again)) == (1, ("a",), False, "x")


def test_what_is_left_out_is_named() -> None:
    cluster = three(ha=roll.NoReserve()).to_dict()
    cluster["vms"][1]["mobility"] = {"pinned": {"reason": "a GPU", "policy": "skip_host"}}
    left = pc.plan_roll(cluster, "fewest_moves").left_out
    assert left == (roll.HostLeftOut("h1", roll.SkipHost("v1")),)


def test_bad_input_is_named_with_its_place() -> None:
    cluster = three().to_dict()
    cluster["hosts"][1]["capacity"][0] = None
    cluster["vms"][2]["host"] = "h9"
    with pytest.raises(pc.exceptions.InvalidInput) as raised:
        pc.plan_roll(cluster)
    said = str(raised.value)
    assert "hosts[1].capacity[0]" in said and "vms[2].host" in said and "2 mistakes" in said
    with pytest.raises(pc.exceptions.InvalidInput, match="expected fewest_moves, balanced"):
        pc.plan_roll(three(), "best")
    with pytest.raises(pc.exceptions.NotFound, match="no machine nobody"):
        roll.what_if(three(), "pin nobody")
    with pytest.raises(pc.exceptions.InvalidInput, match="one host fewer"):
        roll.what_if(three(), "it rains")


def test_what_if_is_answered_in_a_few_lines() -> None:
    said = roll.what_if(pc.Cluster.from_file(CLUSTER), "one more down")
    assert said.startswith("one more down:\n") and "closed at once" in said
    assert 2 <= len(said.splitlines()) <= 8


def large() -> str:
    """A cluster that is planned for many seconds."""
    hosts = [{"id": f"h{n}", "capacity": [1000, 1000]} for n in range(600)]
    vms = [
        {"id": f"v{n}", "host": f"h{n % 600}", "demand": [20 + n % 7, 17], "mem_mib": 2048}
        for n in range(600 * 33)
    ]
    return json.dumps(
        {
            "schema": "patchcore.cluster/1",
            "resources": ["memory", "vcpu"],
            "hosts": hosts,
            "vms": vms,
            "patch_time": {"p50_s": 1200, "p95_s": 1800},
            "migration": {"in_slots": 4, "out_slots": 4, "mib_per_s": 640},
        }
    )


def test_ctrl_c_ends_the_search() -> None:
    """Within a quarter of a second, and the planner itself stops as well."""
    cluster = json.loads(large())
    sent = 0.0

    def interrupt() -> None:
        nonlocal sent
        time.sleep(1.5)
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=interrupt)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        pc.plan_roll(cluster)
    took = time.monotonic() - sent
    sender.join()
    assert sent > 0 and took < 0.25, took
    time.sleep(1.0)
    before = time.process_time()
    time.sleep(1.0)
    assert time.process_time() - before < 0.5, "the planner goes on though nobody waits"


def test_the_loop_goes_on_while_a_roll_is_planned() -> None:
    """And cancelling the task ends the search."""
    cluster = json.loads(large())

    async def tried() -> tuple[int, float]:
        planning = asyncio.ensure_future(pc.async_plan_roll(cluster))
        ticks = 0
        while ticks < 100:
            await asyncio.sleep(0.01)
            ticks += 1
        assert not planning.done()
        planning.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await planning
        return ticks, time.monotonic() - began

    began = time.monotonic()
    ticks, took = asyncio.run(tried())
    assert ticks == 100 and took < 0.25, took
    assert time.monotonic() - began < 10.0, "the loop stood still"
    time.sleep(1.0)
    before = time.process_time()
    time.sleep(1.0)
    assert time.process_time() - before < 0.5, "the planner goes on though nobody waits"


def test_what_is_awaited_is_what_blocking_gives(plan: roll.RollPlan) -> None:
    async def asked() -> tuple[roll.RollPlan, str]:
        cluster = pc.Cluster.from_file(CLUSTER)
        return await pc.async_plan_roll(cluster), await roll.async_what_if(cluster, "one more down")

    planned, said = asyncio.run(asked())
    assert planned == plan
    assert said == roll.what_if(pc.Cluster.from_file(CLUSTER), "one more down")
    with pytest.raises(roll.Infeasible):
        asyncio.run(pc.async_plan_roll(three(ha=roll.Failures(2), max_hosts_down=1)))
    for one, other in ((pc.plan_roll, pc.async_plan_roll), (roll.what_if, roll.async_what_if)):
        assert inspect.signature(one) == inspect.signature(other)


SCHEMAS: dict[str, Any] = json.loads(_native.roll_schemas())


def compare(schemas: dict[str, Any]) -> None:
    """Every value that crosses, against the schema of the core's own type."""
    cluster, plan = schemas["Cluster"], schemas["RollPlan"]
    Walk(cluster).compare("Cluster", cluster, roll.Cluster)
    walk, parts = Walk(plan), plan["properties"]
    walk.compare("Figures", parts["figures"], roll.Figures)
    walk.compare("Bounds", parts["bounds"], roll.Bounds)
    walk.compare("steps", parts["steps"], tuple[roll.PlanStep, ...])
    walk.compare("left_out", parts["left_out"], tuple[roll.HostLeftOut, ...])
    walk.compare("objective", parts["objective"], Union[roll.Objective, roll.Weighted])
    known = {"schema", "partial", "gap_permille", "others", "cluster", "figures", "bounds", "steps", "left_out", "objective"}
    if set(parts) != known:
        raise Differs(f"RollPlan: the core has {sorted(parts)}")
    proof = schemas["Infeasible"]
    Walk(proof).compare("Certificate", proof["properties"]["certificate"], roll.Certificate)
    Walk(proof).compare("relaxations", proof["properties"]["relaxations"], tuple[roll.Relaxation, ...])
    if set(schemas["NotPlanned"]["properties"]) != {"patched", "left", "exhausted", "stopped"}:
        raise Differs("NotPlanned")


def test_values_are_those_of_the_core() -> None:
    compare(SCHEMAS)


@pytest.mark.parametrize(
    ("schema", "part", "old", "new"),
    [
        ("Cluster", "Vm", "notice_s", "notice_seconds"),
        ("Cluster", "Limits", "fill_cap_percent", None),
        ("RollPlan", "Figures", "soft", None),
        ("RollPlan", "PlanStep", "why", "because"),
        ("Infeasible", "NeverTakes", "why", "reason"),
    ],
)
def test_a_planted_drift_is_found(schema: str, part: str, old: str, new: str | None) -> None:
    drifted = copy.deepcopy(SCHEMAS)
    properties = drifted[schema]["$defs"][part]["properties"]
    kept = properties.pop(old)
    if new is not None:
        properties[new] = kept
    with pytest.raises(Differs):
        compare(drifted)


@pytest.mark.parametrize("enum", ["Action", "Reason", "Rule", "Certificate", "Relaxation", "NonMigratable"])
def test_a_planted_word_is_found(enum: str) -> None:
    drifted = copy.deepcopy(SCHEMAS)
    planted = 0
    for schema in drifted.values():
        forms = schema.get("$defs", {}).get(enum, {}).get("oneOf")
        if forms:
            forms.append({"const": "planted", "type": "string"})
            planted += 1
    assert planted
    with pytest.raises(Differs):
        compare(drifted)


def example(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLE, *words], capture_output=True, text=True, timeout=120, **options
    )


def test_the_example_runs(tmp_path: Path) -> None:
    svg = tmp_path / "roll.svg"
    done = example("--svg", svg, "--what-if", "one host fewer")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("roll of 8 hosts") and "what if: one host fewer:" in done.stdout
    assert svg.read_text().startswith("<svg")
    done = example("--json")
    assert str(roll.RollPlan.from_json(done.stdout)).startswith("roll of 8 hosts")
    # As the example in Rust prints it.
    golden = (ROOT / "examples/tests/golden/plan_a_roll.txt").read_text()
    assert golden.startswith(str(roll.RollPlan.from_json(done.stdout)))


def test_the_example_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "cluster.json"
    file.write_text(three(max_hosts_down=0).to_json())
    done = example(file)
    assert done.returncode == 3 and "set limits.max_hosts_down to 1" in done.stdout
    file.write_text("{}")
    done = example(file)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr, done.stderr
    assert example(tmp_path / "none.json").returncode == 2


def test_whoever_stops_reading_does_not_make_it_fail() -> None:
    with subprocess.Popen(
        [sys.executable, EXAMPLE, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        errors = child.stderr.read()
    assert child.returncode == 0 and errors == "", errors


def test_the_page_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs/guide/roll.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.S | re.M)
    assert blocks
    (tmp_path / "cluster.json").write_text(CLUSTER.read_text())
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "roll of 8 hosts" in done.stdout and (tmp_path / "roll.svg").exists()
