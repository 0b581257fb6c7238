"""Exceptions: one base, the fitting builtin, attributes, and text for people."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import patchcore as pc
from patchcore import _native, exceptions


def test_every_kind_of_rust_has_its_class() -> None:
    assert [str(kind) for kind in pc.ErrorKind] == _native.error_kinds()
    assert set(exceptions._CLASSES) == set(pc.ErrorKind)
    for kind, cls in exceptions._CLASSES.items():
        error = exceptions._of_kind(str(kind), "text", message="message", hint="hint")
        assert type(error) is cls and error.kind is kind and str(error) == "text"
        assert isinstance(error, pc.Error)
        builtin = [c for c in cls.__mro__ if c.__module__ == "builtins"]
        assert builtin[0] not in (Exception, BaseException), cls


def test_all_mistakes_of_a_policy_at_once() -> None:
    with pytest.raises(pc.exceptions.InvalidInput) as caught:
        pc.Policy.from_toml('[[ring]]\nname = "a"\nat_onec = 1\n[[window]]\nfrom = 4\n', "p.toml")
    error = caught.value
    assert isinstance(error, ValueError) and error.kind is pc.ErrorKind.INVALID_INPUT
    assert 'did you mean "at_once"' in str(error) and "p.toml:3" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.kind) == (type(error), str(error), error.kind)


def test_what_was_expected_and_found_is_there_for_programs_too() -> None:
    with pytest.raises(pc.exceptions.InvalidInput) as caught:
        pc.Sim("yesterday")
    error = caught.value
    assert (error.found, error.consequence, error.blames) == ("yesterday", None, ())
    assert error.expected is not None and error.expected.startswith("an aware datetime")
    assert f"expected {error.expected} but found yesterday" in error.message
    again = pickle.loads(pickle.dumps(error))
    assert (again.expected, again.found, again.message) == (error.expected, error.found, error.message)


def test_one_that_is_raised_in_python_reads_like_those_of_the_core() -> None:
    error = exceptions.PlanDrift("lb-1 is not as planned", expected="1", found="2", consequence="nothing was done", hint="plan again")
    assert error.message == "lb-1 is not as planned: expected 1 but found 2"
    assert str(error).splitlines() == [error.message, "   nothing was done", "   plan again"]
    assert exceptions.Busy("x", found="y").message == "x: found y" and str(exceptions.Busy("x")) == "x"


def test_attributes(tmp_path: Path) -> None:
    with pytest.raises(pc.exceptions.NotFound) as caught:
        pc.Policy.from_file(tmp_path / "none.toml")
    assert isinstance(caught.value, LookupError) and not caught.value.retryable
    assert "none.toml" in caught.value.message
    with pytest.raises(pc.Error) as broken:
        (tmp_path / "text.db").write_text("no journal at all, and long enough to be read as none")
        pc.Journal(tmp_path / "text.db")
    assert broken.value.kind is pc.ErrorKind.JOURNAL_DAMAGED


def test_a_journal_is_one_process_at_a_time(tmp_path: Path) -> None:
    with pc.Journal(tmp_path / "run.db"):
        code = f"import patchcore as pc\npc.Journal({str(tmp_path / 'run.db')!r})"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert other.returncode == 1
    assert "JournalInUse" in other.stderr and str(os.getpid()) in other.stderr


def test_what_is_no_provider_is_told() -> None:
    with pytest.raises(pc.exceptions.InvalidInput, match="no components, available, scan, apply"):
        pc.Estate("lab", [object()])  # type: ignore[list-item]

    class Silent(pc.SimpleProvider):
        pass

    with pytest.raises(pc.exceptions.InvalidInput, match="does not say quiet_after"):
        pc.Estate("lab", [Silent()])


def test_after_fork_there_is_a_clear_error(estate: pc.Estate) -> None:
    estate.discover()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            estate.discover()
            said = "nothing"
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writing, said.encode())
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(reading, 4000).decode()
    assert said.startswith("Unsupported: patchcore was used before this process was forked off")
    assert "spawn" in said
    estate.discover()


def test_slips_of_a_newcomer_are_told(sim: pc.Sim, plan: pc.Plan, approved: pc.ApprovedPlan, estate: pc.Estate) -> None:
    journal = pc.Journal.in_memory()
    slips: list[tuple[Callable[[], Any], str]] = [
        (lambda: pc.Estate("lab", sim), r"expected a list of providers but found <Sim .*>; write \[provider\]"),  # type: ignore[arg-type]
        (lambda: estate.run(plan, journal), r"expected a plan that was approved but found <Plan .*plan.approve\("),  # type: ignore[arg-type]
        (lambda: estate.run(approved, "run.db"), r"expected a journal but found 'run.db'; patchcore.Journal\("),  # type: ignore[arg-type]
        (lambda: estate.reopen("run.db"), "expected a journal"),  # type: ignore[arg-type]
    ]
    for slip, says in slips:
        with pytest.raises(TypeError, match=says):
            slip()
