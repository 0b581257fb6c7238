"""Providers written in Python, the short way."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import lb
import patchcore as pc
from patchcore import events

FOLDER = Path(__file__).parent


@pytest.fixture(params=sorted(lb.KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_roll_out(kind: str, tmp_path: Path) -> None:
    world = tmp_path / "world"
    run = lb.begun(lb.KINDS[kind](world), pc.Journal.in_memory())
    with run:
        seen = list(run.events())
    assert run.standing.verdict == "done", run.report()
    assert world.read_text() == "7.4.2\n"
    assert isinstance(seen[-1], events.Ended)
    assert "firmware 7.4.1 → 7.4.2" in str(run.plan)
    # What is in already is no offer.
    estate = pc.Estate("house", [lb.KINDS[kind](world)])
    assert estate.plan(lb.POLICY, requested_by="sam").is_empty


def test_any_object_with_the_methods_is_one(tmp_path: Path) -> None:
    inner = lb.Blocking(tmp_path / "world")

    class Plain:
        quiet_after = timedelta(seconds=1)
        components, available, scan, apply = inner.components, inner.available, inner.scan, inner.apply

    run = lb.begun(Plain(), pc.Journal.in_memory())  # type: ignore[arg-type]
    assert run.finished().verdict == "done"


CHILD = """
import sys, lb, patchcore as pc
from datetime import timedelta
from pathlib import Path
kind, folder = sys.argv[1], Path(sys.argv[2])
quiet, early, late = map(float, sys.argv[3:])
provider = lb.KINDS[kind](folder / "world", late, timedelta(seconds=quiet) if quiet else None, early)
lb.begun(provider, pc.Journal(folder / "run.db")).finished()
"""


@pytest.mark.parametrize("quiet", [1.0, 0.0])
@pytest.mark.parametrize("written", [True, False])
def test_killed_inside_apply_and_reopened_by_another_process(
    kind: str, quiet: float, written: bool, tmp_path: Path
) -> None:
    world = tmp_path / "world"
    waits = ("0", "600") if written else ("600", "0")
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, kind, str(tmp_path), str(quiet), *waits],
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
    )
    sign = world if written else tmp_path / "world.asked"
    until = time.monotonic() + 60
    # A file is there before its first line is.
    while not (sign.exists() and (sign.stat().st_size or not written)) and time.monotonic() < until:
        assert child.poll() is None
        time.sleep(0.02)
    assert sign.exists()
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL

    provider = lb.KINDS[kind](world, 0, timedelta(seconds=quiet) if quiet else None)
    with pc.Journal(tmp_path / "run.db") as journal:
        run = pc.Estate("house", [provider]).reopen(journal)
        assert run is not None
        standing = run.finished()
        if written or quiet:
            # What is in is in, and is not put in twice; what surely is not is put in now.
            assert standing.verdict == "done", run.report()
        else:
            # Nobody knows what the tool still does: a person decides.
            assert standing.state is pc.StandingState.AT_REST
            assert any(isinstance(e, events.Quarantined) for e in run.events())
            run.resolve("lb-1", pc.Resolution.RETRY, "dana", "the display says 7.4.1")
            assert run.finished().state is pc.StandingState.ENDED
    assert world.read_text() == "7.4.2\n"


def test_a_patch_without_a_class_is_left_out_loudly(tmp_path: Path) -> None:
    class Unclassified(lb.Blocking):
        patch_class = "other"

        def available(self, component: pc.Component) -> list[pc.Patch]:
            return [pc.Patch("firmware", version="7.4.2", impact="reboot")]

    estate = pc.Estate("house", [Unclassified(tmp_path / "world")])
    plan = estate.plan(lb.POLICY, requested_by="sam")
    assert plan.is_empty
    assert (
        'lb-1      1 patch of class other, which the policy does not take: firmware · `take` in [patches] takes it with '
        '"other", or its source says a class'
    ) in str(plan)
    policy = pc.Policy.from_dict(lb.POLICY.to_dict() | {"patches": {"take": ["other"]}})
    assert estate.plan(policy, requested_by="sam").components == ["lb-1"]


class Wrong(lb.Blocking):
    """One method of it does what a test wants."""

    def __init__(self, world: Path, method: str, does: Any, quiet: timedelta | None = timedelta(seconds=0)) -> None:
        super().__init__(world, 0, quiet)
        setattr(self, method, does)


def boom(*_: object) -> Any:
    raise ZeroDivisionError("the tool has a bug")


async def gone(*_: object) -> Any:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("method", "does", "says"),
    [
        ("components", boom, "ZeroDivisionError: the tool has a bug"),
        ("components", lambda: 7, "expected patchcore.Component values but found 7"),
        ("components", lambda: ["lb-1"], "expected a patchcore.Component but found 'lb-1'"),
        ("scan", boom, "ZeroDivisionError"),
        ("scan", lambda c: {"firmware": "1"}, "expected a patchcore.Installed"),
        ("scan", lambda c: pc.Installed(dict(firmware=json.loads("7"))), "its answer is not what it must be"),
        ("scan", gone, "CancelledError"),
        ("available", lambda c: None, "expected patchcore.Patch values but found None"),
    ],
)
def test_what_goes_wrong_is_a_gap_and_spoils_nothing(
    method: str, does: Any, says: str, tmp_path: Path, sim: pc.Sim
) -> None:
    estate = pc.Estate("house", [sim, Wrong(tmp_path / "world", method, does)])
    inventory = estate.discover()
    assert says in str(inventory.gaps)
    assert f"lb.{method}" in str(inventory.gaps)
    plan = estate.plan(lb.POLICY, requested_by="sam")
    assert plan.components == ["web-1", "web-2"]


@pytest.mark.parametrize(
    ("raises", "how"),
    [
        (pc.exceptions.TargetError("no space", kind="install_failed"), "failed"),
        (ZeroDivisionError("a bug"), "unknown"),
        (ConnectionResetError("gone"), "unknown"),
        (SystemExit(3), "unknown"),
    ],
)
def test_an_apply_that_raises(raises: BaseException, how: str, tmp_path: Path) -> None:
    calls = []

    def apply(component: pc.Component, patch: pc.Patch) -> None:
        calls.append(patch)
        raise raises

    provider = Wrong(tmp_path / "world", "apply", apply, None)
    run = lb.begun(provider, pc.Journal.in_memory())
    standing = run.finished()
    assert standing.state is pc.StandingState.AT_REST, standing
    told = [type(e) for e in run.events()]
    # Only an answer of the tool settles; whoever stumbled does not know, and a person decides.
    assert (events.Quarantined in told) == (how == "unknown"), [str(e) for e in run.events()]
    assert len(calls) == 1 and calls[0].version == "7.4.2" and calls[0].previous == "7.4.1"


def test_one_that_blocks_holds_up_nobody(tmp_path: Path, policy: pc.Policy) -> None:
    many = [pc.Component(f"slow-{n}") for n in range(30)]

    class Slow(lb.Blocking):
        def components(self) -> list[pc.Component]:
            return many

        def scan(self, component: pc.Component) -> pc.Installed:
            time.sleep(0.3)
            return pc.Installed({})

    class Quick(lb.Awaiting):
        name = "quick"

    estate = pc.Estate("house", [Slow(tmp_path / "a"), Quick(tmp_path / "b")])
    inventory = estate.discover()
    assert len(inventory) == 31 and inventory.gaps == ()


def test_an_exception_keeps_its_cause_and_traceback_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Any:
        try:
            boom()
        except ZeroDivisionError as error:
            raise KeyError("lb-1") from error

    estate = pc.Estate("house", [Wrong(tmp_path / "world", "components", broken)])
    with caplog.at_level(logging.ERROR, "patchcore.provider"):
        gaps = str(estate.discover().gaps)
    assert "lb.components: KeyError: 'lb-1' (test_providers.py line" in gaps
    (record,) = caplog.records
    assert record.exc_info is not None and record.exc_info[1] is not None
    assert isinstance(record.exc_info[1].__cause__, ZeroDivisionError)
    assert record.exc_info[2] is not None


def test_what_a_provider_knows_is_told_on(tmp_path: Path) -> None:
    def silent() -> Any:
        raise pc.exceptions.Unreachable("the tool is silent", retryable=True, hint="look at its lamp")

    estate = pc.Estate("house", [Wrong(tmp_path / "world", "components", silent)])
    (gap,) = estate.discover().gaps
    assert gap["failure"]["kind"] == "unreachable" and gap["failure"]["hint"] == "look at its lamp"
