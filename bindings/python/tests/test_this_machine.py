"""The example ``this_machine.py --apply`` on a throw-away Debian with real apt and dpkg."""

from __future__ import annotations

import io
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import patchcore as pc
from lab import ROOT, Lab, lab_of

GUEST = "host-01"
EXAMPLE = "cd /opt/pc && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/pc exec python3 examples/python/this_machine.py"


def package() -> bytes:
    """The package as it is installed here, the example and its policy."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(Path(pc.__file__).parent, "patchcore", filter=lambda f: None if "__pycache__" in f.name else f)
        for name in ("examples/python/this_machine.py", "examples/policies/this-machine.toml"):
            tar.add(ROOT / name, name)
    return packed.getvalue()


@pytest.fixture
def lab() -> Iterator[Lab]:
    with lab_of(1) as made:
        made.inside(GUEST, "mkdir -p /opt/pc && tar -x -C /opt/pc", package())
        yield made


def apply(lab: Lab) -> subprocess.CompletedProcess[str]:
    return subprocess.run(lab.on(GUEST, f"{EXAMPLE} --apply"), capture_output=True, text=True, timeout=180)


def upgrades(lab: Lab) -> list[str]:
    """Every upgrade that dpkg ever noted, in order."""
    log = lab.inside(GUEST, "cat /var/log/dpkg.log 2>/dev/null || true")
    return [line.split()[3] for line in log.splitlines() if line.split()[2] == "upgrade"]


def test_apply_puts_in_what_was_planned_and_says_so(lab: Lab) -> None:
    asked = subprocess.run(lab.on(GUEST, EXAMPLE), capture_output=True, text=True, timeout=120)
    assert asked.returncode == 0 and "nothing was changed; --apply" in asked.stdout, asked.stderr
    assert "1.0-1" in lab.inside(GUEST, "dpkg-query -W pc-hello")

    done = apply(lab)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 planned = 1 done" in done.stdout
    for name in ("pc-hello", "libpc1", "pc-slow"):
        assert "1.1-1" in lab.inside(GUEST, f"dpkg-query -W {name}")
    first = upgrades(lab)
    assert len(first) == len(set(first)) >= 5, first

    again = apply(lab)
    assert again.returncode == 0 and "nothing was changed" in again.stdout, again.stdout + again.stderr
    assert upgrades(lab) == first


def test_apply_needs_root(lab: Lab) -> None:
    as_somebody = f"chmod -R a+rX /opt/pc && su op -s /bin/sh -c '{EXAMPLE} --apply'"
    refused = subprocess.run(lab.on(GUEST, as_somebody), capture_output=True, text=True, timeout=60)
    assert refused.returncode != 0 and "--apply needs root" in refused.stderr
    assert "there" not in lab.inside(GUEST, "ls -d /var/lib/patchcore >/dev/null 2>&1 && echo there || true")


def test_killed_in_the_middle_of_apt_it_goes_on_and_begins_nothing_twice(lab: Lab) -> None:
    lab.inside(GUEST, "echo 3 > /etc/pc-slow.seconds")
    child = subprocess.Popen(
        lab.on(GUEST, f"{EXAMPLE} --apply"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 90
    while time.monotonic() < until and "yes" not in lab.inside(
        GUEST, "test -e /run/pc-slow.running && echo yes || true"
    ):
        assert child.poll() is None, "it was over before"
        time.sleep(0.05)
    lab.inside(GUEST, "kill -KILL $(pgrep -x python3)")
    assert child.wait(timeout=30) in (-signal.SIGKILL, 128 + signal.SIGKILL)

    done = apply(lab)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1.1-1" in lab.inside(GUEST, "dpkg-query -W pc-slow")
    noted = upgrades(lab)
    assert len(noted) == len(set(noted)) >= 5, noted
    assert "3" == lab.inside(GUEST, "ls -d /var/lib/patchcore/jobs/op-* | wc -l").strip()
