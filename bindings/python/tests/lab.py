"""A lab of real Debian guests for the tests, and how what they print is looked at."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


class Lab:
    """Guests in a network of their own."""

    def __init__(self, program: Path) -> None:
        self.program, self.inventory = program, program.parent / "lab/inventory.toml"

    def enter(self, *words: str | Path) -> list[str | Path]:
        """A command that is in the network of the guests."""
        return [self.program, "enter", "--", *words]

    def on(self, guest: str, script: str) -> list[str | Path]:
        """A command on a guest, as root."""
        return [self.program, "enter", guest, "--", "sh", "-c", script]

    def inside(self, guest: str, script: str, given: bytes = b"") -> str:
        """What a script on a guest says."""
        done = subprocess.run(self.on(guest, script), input=given, capture_output=True)
        assert done.returncode == 0, f"{script}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        return done.stdout.decode()


@contextlib.contextmanager
def lab_of(guests: int) -> Iterator[Lab]:
    """So many guests, named host-01 and so on, on which every package goes in."""
    program = os.environ.get("PATCHCORE_LAB")
    if program is None:
        pytest.skip("missing: a lab; `cargo xtask test python` brings one")
    up = subprocess.run([program, "up", str(guests)], capture_output=True, text=True, timeout=600)
    if up.returncode == 2:
        pytest.skip(up.stderr)
    assert up.returncode == 0, up.stdout + up.stderr
    made = Lab(Path(program))
    try:
        for number in range(1, guests + 1):
            # Its packages are made to cause trouble; here all of them go in.
            made.inside(f"host-{number:02}", "touch /etc/pc-badpost.ok; echo 0 > /etc/pc-slow.seconds")
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
