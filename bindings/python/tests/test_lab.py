"""The example ``linux_fleet.py`` on real Debian guests, with its display on a terminal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import ROOT, Lab, lab_of, on_a_terminal

EXAMPLE = ROOT / "examples/python/linux_fleet.py"

#: The policy of the example, without the waiting that shows it off.
POLICY = (ROOT / "examples/policies/fleet.toml").read_text().replace('"5s"', '"1s"').replace('"2s"', '"0s"')


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with lab_of(2) as made:
        yield made


def test_a_fleet_is_planned_patched_and_reported(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    fleet: list[str | Path] = [sys.executable, EXAMPLE, "--inventory", lab.inventory, "--policy", "policy.toml"]

    asked = subprocess.run(lab.enter(*fleet), cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert asked.returncode == 3, asked.stderr
    assert "2 found = 2 planned" in asked.stdout and "nothing was changed" in asked.stdout
    assert "1.0-1" in lab.inside("host-01", "dpkg-query -W libpc1")

    code, seen = on_a_terminal(lab.enter(*fleet, "--approve-as", "maria"), tmp_path)
    assert code == 0, seen[-3000:]
    # The block: a bar of each ring, and who is at work; above it the lines, below it the report.
    assert "▓▓▓" in seen and "███" in seen and "1 at work" in seen
    assert "host-01  is being patched, since" in seen
    assert "2 planned = 2 done" in seen and "boot id changed" in seen
    for guest in ("host-01", "host-02"):
        assert "1.1-1" in lab.inside(guest, "dpkg-query -W libpc1")

    again = subprocess.run(lab.enter(*fleet), cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0 and "nothing to do now" in again.stdout, again.stdout + again.stderr


def test_an_unreachable_fleet_is_named_and_spoils_nothing(tmp_path: Path) -> None:
    """Outside of the lab's network nobody answers."""
    (tmp_path / "inventory.toml").write_text(
        'inventory = 1\n[defaults]\nuser = "op"\nknown_hosts = "k"\nidentity = "i"\n'
        '[[host]]\nname = "web-1"\naddress = "127.0.0.1"\nport = 1\n'
    )
    (tmp_path / "k").touch()
    (tmp_path / "i").touch()
    done = subprocess.run(
        [sys.executable, EXAMPLE, "--inventory", "inventory.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 2) and "web-1" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
