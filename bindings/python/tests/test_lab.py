"""The example ``linux_fleet.py`` on real Debian guests, with its display on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples/python/linux_fleet.py"

#: The policy of the example, without the waiting that shows it off.
POLICY = (ROOT / "examples/policies/fleet.toml").read_text().replace('"5s"', '"1s"').replace('"2s"', '"0s"')


class Lab:
    """Two guests in a network of their own."""

    def __init__(self, program: Path) -> None:
        self.program, self.inventory = program, program.parent / "lab/inventory.toml"

    def enter(self, *words: str | Path) -> list[str | Path]:
        return [self.program, "enter", "--", *words]

    def inside(self, guest: str, script: str) -> str:
        command: list[str | Path] = [self.program, "enter", guest, "--", "sh", "-c", script]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    program = os.environ.get("PATCHCORE_LAB")
    if program is None:
        pytest.skip("missing: a lab; `cargo xtask test python` brings one")
    up = subprocess.run([program, "up", "2"], capture_output=True, text=True, timeout=600)
    if up.returncode == 2:
        pytest.skip(up.stderr)
    assert up.returncode == 0, up.stdout + up.stderr
    made = Lab(Path(program))
    try:
        for guest in ("host-01", "host-02"):
            # Its packages are made to cause trouble; here all of them go in.
            made.inside(guest, "touch /etc/pc-badpost.ok; echo 0 > /etc/pc-slow.seconds")
        yield made
    finally:
        subprocess.run([program, "down"], check=True, capture_output=True, timeout=120)


def on_a_terminal(command: list[str | Path], folder: Path) -> tuple[int, str]:
    """Exit code and what a person saw."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    child = subprocess.Popen(command, cwd=folder, stdin=slave, stdout=slave, stderr=slave, env=env)
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux says so where the other end is closed.
            break
        if not part:
            break
        seen += part
    os.close(master)
    return child.wait(timeout=60), seen.decode()


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
