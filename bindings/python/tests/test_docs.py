"""What the pages show is run, and the example too."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from vcenter_stand import PASSWORD, USER, Stand

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples/python"


def blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.S | re.M)


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120
    )


#: A simulated estate stands in for the machines that a page patches.
STANDS_IN = """
import patchcore as pc
sim = pc.Sim("2026-12-07T14:00:00Z").guest("web-1", packages={"nginx": "1.22.1-9"})
sim.publish(pc.Patch("nginx", "1.22.1-10", patch_class="security"))
class Linux:
    from_file = staticmethod(lambda path: sim)
pc.Linux = Linux
"""


def stand_for(code: str, folder: Path) -> AbstractContextManager[object]:
    """The vCenter of a page that has one."""
    if "pc.VCenter.from_file" not in code:
        return nullcontext()
    try:
        stand = Stand(3, 6)
    except FileNotFoundError as error:
        pytest.skip(f"missing: {error}")
    stand.furnish(20)
    (folder / "password").write_text(PASSWORD)
    (folder / "vsphere.toml").write_text(
        f'server = "{stand.server}"\nuser = "{USER}"\npassword_file = "password"\nca_file = "{stand.ca}"\n'
    )
    shutil.copy(ROOT / "examples/policies/hosts.toml", folder)
    return stand


@pytest.mark.parametrize("page", ["README.md", "docs/guide/python.md", "docs/guide/python-provider.md", "docs/guide/python-daily.md", "bindings/python/README.md"])
def test_every_block_of_a_page_runs(page: str, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(
        'approval.from = ["maria"]\nwindow = [{ name = "w", when = "any time" }]\n'
    )
    found = blocks(page)
    assert found, page
    code = "\n".join([STANDS_IN, *found])
    with stand_for(code, tmp_path):
        done = run(code, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    said = ("1 found = 1 planned", "the run is done · 2 of 2 done", "2 found = 2 planned", "1 planned = 1 done")
    assert any(words in done.stdout for words in said), done.stdout


def test_a_planted_fault_in_a_block_is_found(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('approval.from = ["maria"]\n')
    broken = blocks("README.md")[0].replace("plan.approve(", "plan.aprove(")
    assert "AttributeError" in run(STANDS_IN + broken, tmp_path).stderr


def test_the_readme_shows_what_the_experience_promises() -> None:
    assert "for event in run.events():" in blocks("README.md")[0]


def test_the_example_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "rolling_patch.py", "run.db"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "ring broad · 4 components" in done.stdout and "6 planned = 6 done" in done.stdout
    assert (tmp_path / "run.db").exists()


def test_every_example_is_run_here() -> None:
    # linux_fleet.py: test_lab.py; plan_a_roll.py: test_roll.py; vsphere_….py: test_vsphere.py
    names = ["linux_fleet.py", "plan_a_roll.py", "rolling_patch.py", "this_machine.py", "vcenter_stand.py"]
    names += ["vsphere_doctor.py", "vsphere_roll.py"]
    assert sorted(path.name for path in EXAMPLES.glob("*.py")) == names


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="this machine is no Debian")
def test_a_true_plan_for_this_machine(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "this_machine.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "1 found = 1 " in done.stdout and "nothing was changed" in done.stdout, done.stdout
    assert list(tmp_path.iterdir()) == []


def test_import_is_quick() -> None:
    """The median of nine, over that of bare Python in the same minute."""

    def median(code: str) -> float:
        taken = []
        for _ in range(9):
            before = os.times()
            subprocess.run([sys.executable, "-c", code], check=True)
            after = os.times()
            used = (after.children_user + after.children_system) - (
                before.children_user + before.children_system
            )
            taken.append(used)
        return sorted(taken)[4]

    over = median("import patchcore") - median("pass")
    print(f"\nimport: {over * 1000:.0f} ms of CPU over bare Python", file=sys.__stderr__)
    assert over <= 0.1
