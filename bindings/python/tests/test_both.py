"""Hosts of a vCenter and guests that run on them, patched by one plan: real guests, and a server that stands for a
vCenter, in which they are machines by the UUID of their firmware."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from lab import lab_of
from vcenter_stand import program

#: Two machines of the server, on two of its hosts: what their guests are called, and their UUIDs as their systems read
#: them. The smaller name is that of the estate: once the machine's, once the guest's.
MACHINES = {
    "DC0_C0-vm0000": ("host-01", "0945058e-dfc6-f056-958f-c2545bf03173"),
    "name-server-2": ("host-02", "ddef3a52-cba7-5456-b5d6-eee2b98290b8"),
}
ESTATE = {machine: min(machine, guest) for machine, (guest, _) in MACHINES.items()}

#: Everything in one ring; of the two guests, which alone say what they run, one stays up.
POLICY = """
policy = 1
name = "both"
approval = { needs = 1, from = ["maria"] }
window = [{ name = "any", when = "any time" }]
patches.take = ["security", "bugfix", "enhancement", "other"]
ring = [{ name = "all", select = "kind = host or kind = guest", at_once = "2", soak = "1s" }]
limit = [{ per = "os", keep_up = 1 }]
"""

Span = tuple[datetime, datetime, str]


def own(events: list[dict[str, Any]], guest: str) -> Span:
    """From when until when its own patch had it away, by what was recorded: from its admission until it was back in
    service."""
    of_it = [(event["event"], datetime.fromisoformat(event["at"])) for event in events if event["component"] == guest]
    (since,) = [at for event, at in of_it if event["kind"] == "admitted"]
    (until,) = [at for event, at in of_it if event.get("next", {}).get("at") == "in_service"]
    return since, until, "its own patch"


def moves(events: list[dict[str, Any]], guest: str) -> list[Span]:
    """When the roll moved it."""
    since, spans = None, []
    for event in events:
        about = event["event"]
        if about["kind"] != "roll" or guest not in json.dumps(about.get("event", {}).get("task", "")):
            continue
        at = datetime.fromisoformat(event["at"])
        if about["event"]["what"] == "intended":
            since = at
        elif about["event"]["what"] in ("settled", "failed"):
            assert since is not None
            spans.append((since, at, "the roll"))
            since = None
    assert since is None
    return spans


def clashes(one: list[Span], other: list[Span]) -> list[str]:
    return [f"{a} and {b}" for a in one for b in other if a[0] < b[1] and b[0] < a[1]]


def test_one_plan_patches_hosts_and_guests(tmp_path: Path) -> None:
    try:
        program()
    except FileNotFoundError as error:
        pytest.skip(f"missing: {error}")
    (tmp_path / "policy.toml").write_text(POLICY)
    with lab_of(2) as lab:
        for guest, uuid in MACHINES.values():
            # The firmware of a guest that is a machine: these are none, and have no /sys of their own.
            lab.inside(guest, f"mkdir -p /sys/class/dmi/id; echo {uuid} > /sys/class/dmi/id/product_uuid")
        script = Path(__file__).parent / "both.py"
        path = str(Path(__file__).resolve().parents[3] / "examples/python")
        program_in_lab = lab.enter(
            "env", f"PYTHONPATH={path}", sys.executable, script, lab.inventory, tmp_path / "policy.toml"
        )
        done = subprocess.run(program_in_lab, capture_output=True, text=True, timeout=280, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        answer = json.loads(done.stdout)
        lines = "\n".join(answer["lines"])
        # A guest that both know is one component.
        assert list(ESTATE.values()) == ["DC0_C0-vm0000", "host-02"]
        assert all(answer["seen_by"][name] == ["linux", "vsphere"] for name in ESTATE.values()), answer["seen_by"]
        assert "host-01" not in answer["seen_by"] and "name-server-2" not in answer["seen_by"]
        assert "6 planned" in answer["plan"], answer["plan"]
        assert answer["exit_code"] == 0, answer["report"]
        # Each host runs the new build and was restarted once, by the server's word; each guest has its patches.
        assert answer["faults"] == []
        for guest, _ in MACHINES.values():
            assert "1.1-1" in lab.inside(guest, "dpkg-query -W libpc1")
    # The roll calls a machine as the vCenter does.
    events = answer["events"]
    spans = {machine: [own(events, name), *moves(events, machine)] for machine, name in ESTATE.items()}
    one, other = spans.values()
    assert len(one) > 1 and len(other) > 1, lines
    assert clashes(one, other) == [], lines


def test_a_clash_is_found() -> None:
    def span(since: int, until: int) -> Span:
        return datetime(2026, 12, 7, since), datetime(2026, 12, 7, until), "x"

    assert clashes([span(1, 3)], [span(3, 4)]) == []
    assert len(clashes([span(1, 3), span(5, 9)], [span(2, 6)])) == 2
