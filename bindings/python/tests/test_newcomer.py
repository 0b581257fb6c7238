"""What a newcomer types: ``pip install ./bindings/python`` in an environment with nothing in it, and the examples.

It builds the wheel that users install, so only ``cargo xtask test --full`` and ``pytest -m full`` do it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import ROOT, Lab, lab_of, on_a_terminal

pytestmark = pytest.mark.full

EXAMPLES = ROOT / "examples/python"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment that has the package, and nothing else."""
    venv = tmp_path_factory.mktemp("newcomer") / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=120)
    # What prepares the tests prepares nothing here.
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "MATURIN"))}
    install: list[str | Path] = [venv / "bin/pip", "install", "./bindings/python"]
    done = subprocess.run(install, cwd=ROOT, env=env, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0 and "Successfully installed patchcore-" in done.stdout, done.stdout + done.stderr
    there = subprocess.run([venv / "bin/pip", "list", "--format=freeze"], capture_output=True, text=True, check=True)
    names = {line.split("==")[0].split(" ")[0] for line in there.stdout.splitlines()}
    assert names - {"pip", "setuptools", "wheel"} == {"patchcore"}, names
    return venv / "bin/python"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with lab_of(2) as made:
        yield made


def run(python: Path, example: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [python, EXAMPLES / example, *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_simulated_roll_out(python: Path, tmp_path: Path) -> None:
    done = run(python, "rolling_patch.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 found = 6 planned" in done.stdout and "6 planned = 6 done" in done.stdout


def test_this_machine(python: Path, tmp_path: Path) -> None:
    done = run(python, "this_machine.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 found = 1 " in done.stdout and "nothing was changed" in done.stdout


def test_a_fleet(python: Path, lab: Lab, tmp_path: Path) -> None:
    """By the policy that stands beside the example, on a terminal, without rich: the lines of the run."""
    words: list[str | Path] = [python, EXAMPLES / "linux_fleet.py", "--inventory", lab.inventory]
    asked = subprocess.run(lab.enter(*words), cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert asked.returncode == 3 and "2 found = 2 planned" in asked.stdout, asked.stdout + asked.stderr
    code, seen = on_a_terminal(lab.enter(*words, "--approve-as", "maria"), tmp_path)
    assert code == 0 and "2 planned = 2 done" in seen, seen[-3000:]
    assert "1.1-1" in lab.inside("host-01", "dpkg-query -W libpc1")
