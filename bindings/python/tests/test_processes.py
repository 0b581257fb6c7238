"""Threads, other processes, and the end of a program."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path

import patchcore as pc
from conftest import POLICY, START


def planned(name: str) -> pc.Plan:
    """A plan for one guest; the same in every process."""
    sim = pc.Sim(START, seed=7).guest(name, packages={"nginx": "1.22.1-9"})
    sim.publish(pc.Patch("nginx", "1.22.1-10", patch_class="security"))
    return pc.Estate("lab", [sim]).plan(pc.Policy.from_toml(POLICY), requested_by="sam")


def test_other_processes_are_spawned() -> None:
    expected = planned("web-1")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(planned, ["web-1", "web-1"]) == [expected, expected]


def test_threads_run_runs_of_their_own() -> None:
    verdicts: list[str | None] = []

    def work(name: str) -> None:
        sim = pc.Sim(START).guest(name, packages={"nginx": "1"})
        sim.publish(pc.Patch("nginx", "2", patch_class="security"))
        estate = pc.Estate(name, [sim])
        plan = estate.plan(pc.Policy.from_toml(POLICY), requested_by="sam")
        with pc.Journal.in_memory() as journal:
            run = estate.run(plan.approve(plan.approval("maria")), journal)
            verdicts.append(run.finished().verdict)

    threads = [threading.Thread(target=work, args=(f"web-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == ["done"] * 8


def test_a_journal_closes_although_its_run_is_held(
    tmp_path: Path, estate: pc.Estate, approved: pc.ApprovedPlan
) -> None:
    journal = pc.Journal(tmp_path / "run.db")
    run = estate.run(approved, journal)
    lines = run.lines()
    next(lines)
    run.finished()
    journal.close()
    journal.close()
    assert journal.closed and run.id == 1 and run.plan == approved.plan
    code = f"import patchcore as pc\npc.Journal({str(tmp_path / 'run.db')!r}).close()"
    del lines
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_program_that_forgets_its_run_ends_by_itself(tmp_path: Path) -> None:
    """At rest, over, or never begun: nothing is waited for, and nothing is said."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import patchcore as pc\nfrom conftest import POLICY, START\n"
        "sim = pc.Sim(START).guest('web-1', packages={'nginx': '1'})\n"
        "sim.publish(pc.Patch('nginx', '2', patch_class='security'))\n"
        "estate = pc.Estate('lab', [sim])\n"
        "plan = estate.plan(pc.Policy.from_toml(POLICY), requested_by='sam')\n"
        "run = estate.run(plan.approve(plan.approval('maria')), pc.Journal('run.db'))\n"
        "run.finished()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_program_may_end_while_a_provider_works(tmp_path: Path) -> None:
    """The interpreter unwinds a thread that is in the middle of a call, and the process aborted."""
    code = (
        "import threading, time\n"
        "import patchcore as pc\n"
        "inside = threading.Event()\n"
        "class Busy(pc.SimpleProvider):\n"
        "    name = 'busy'\n"
        "    quiet_after = None\n"
        "    def components(self):\n"
        "        inside.set()\n"
        "        until = time.monotonic() + 1\n"
        "        while time.monotonic() < until:\n"
        "            pass\n"
        "        return []\n"
        "    def available(self, component): return []\n"
        "    def scan(self, component): raise NotImplementedError\n"
        "    def apply(self, component, change): raise NotImplementedError\n"
        "estate = pc.Estate('house', [Busy()])\n"
        "threading.Thread(target=estate.discover, daemon=True).start()\n"
        "inside.wait()\n"
    )
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
