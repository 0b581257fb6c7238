"""``python -m patchcore run.db …`` has the words of ``operate``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import patchcore as pc


def operate(*words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "patchcore", *words], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def halted(tmp_path: Path, sim: pc.Sim, policy: pc.Policy) -> Path:
    """A journal with a run that waits for a person, and that nobody drives."""
    sim.script(pc.Script.postinst_fails("nginx", "1.22.1-10").on("web-1"))
    estate = pc.Estate("lab", [sim])
    plan = estate.plan(policy, requested_by="sam")
    with pc.Journal(tmp_path / "run.db") as journal:
        estate.run(plan.approve(plan.approval("maria")), journal).finished()
    return tmp_path / "run.db"


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_its_words_are_told(word: str) -> None:
    assert operate(word) == operate() and "status [RUN]" in operate(word)[1]


def test_reading_and_steering(halted: Path, tmp_path: Path) -> None:
    journal = str(halted)
    code, out, _ = operate(journal, "list")
    assert code == 0 and out.startswith("run 1 · begun ")
    code, out, _ = operate(journal, "status")
    assert code == 3 or code == 1
    assert "estate lab" in out and "halted" in out
    assert "web-1" in operate(journal, "why", "web-1")[1]
    assert operate(journal, "report", str(tmp_path / "report.md"))[1] == ""
    assert "web-1" in (tmp_path / "report.md").read_text()
    code, out, _ = operate(journal, "end", "--by", "dana", "--because", "enough")
    assert code == 4 and "in the inbox, not yet taken: end" in out
    assert operate(journal, "audit", "verify")[0] == 0


def test_mistakes(halted: Path) -> None:
    code, out, err = operate()
    assert code == 0 and out.startswith("python -m patchcore JOURNAL WORD …\nreading:\n  list ")
    code, out, err = operate(str(halted), "staus")
    assert code == 2 and out == "" and "staus is no word of python -m patchcore" in err
    code, out, err = operate(str(halted), "pause")
    assert code == 2 and "pause needs a reason" in err
    code, out, err = operate(str(halted.parent / "none.db"), "list")
    assert code == 2 and "none.db" in err
