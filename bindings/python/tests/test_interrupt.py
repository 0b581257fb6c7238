"""Ctrl-C takes effect at once wherever a call blocks, and never loses a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scenes import FOLDER, HARNESS, LIMIT_MS, SCENES, child, late


@pytest.mark.parametrize("scene", sorted(SCENES))
def test_ctrl_c_takes_effect(scene: str, tmp_path: Path, record_property: object) -> None:
    tries = late(scene, tmp_path)
    print(f"\n{scene}: slowest of {len(tries)}: {max(tries):.0f} ms", file=sys.__stderr__)
    assert len(tries) == 10 and max(tries) <= LIMIT_MS, tries


WITH = """
run = lb.begun(lb.Blocking(folder / "world", float(sys.argv[2])), pc.Journal(folder / "run.db"))
print("ready", flush=True)
with run:
    for event in run.events():
        print(event, flush=True)
print("over", flush=True)
"""


def in_apply(folder: Path, sleep: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HARNESS + WITH, str(folder), str(sleep)],
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while not (folder / "world").exists() and time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(0.2)
    return process


def reopened(folder: Path) -> str:
    code = (
        "import lb, sys, patchcore as pc\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
        'run = pc.Estate("house", [lb.Blocking(folder / "world")]).reopen(pc.Journal(folder / "run.db"))\n'
        "print(run.finished().verdict if run else 'over')\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()


def test_the_first_waits_for_a_safe_point_and_says_for_what(tmp_path: Path) -> None:
    process = in_apply(tmp_path, 2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0 and "KeyboardInterrupt" in err
    assert "run 1 is brought to a safe point; in flight: lb-1 is being patched since" in err
    assert "Ctrl-C leaves at once" in err and "left before" not in err
    # What was in flight may have been the last that there was to do.
    assert reopened(tmp_path) in ("done", "over")
    assert (tmp_path / "world").read_text() == "7.4.2\n"


def test_the_second_leaves_with_the_journal_kept(tmp_path: Path) -> None:
    process = in_apply(tmp_path, 600)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert time.monotonic() - sent < 2, err
    assert "left before a safe point; the journal is kept" in err
    assert reopened(tmp_path) == "done"
    assert (tmp_path / "world").read_text() == "7.4.2\n"


def test_a_program_that_ends_brings_its_run_to_a_safe_point(tmp_path: Path) -> None:
    code = 'lb.begun(lb.Blocking(folder / "world", 1), pc.Journal(folder / "run.db"))\n'
    code += 'while not (folder / "world").exists(): time.sleep(0.02)\n'
    process = child(code, tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "in flight: lb-1 is being patched" in err
    assert reopened(tmp_path) in ("done", "over")
    assert (tmp_path / "world").read_text() == "7.4.2\n"
