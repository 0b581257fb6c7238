"""A journal whose holder was stopped is taken over, by a person's word and from exactly the process that was named."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import lb
import patchcore as pc
from patchcore import events

CHILD = """
import sys, lb, patchcore as pc
from datetime import timedelta
from pathlib import Path
folder = Path(sys.argv[1])
run = lb.begun(lb.Blocking(folder / "world", 2, timedelta(seconds=1)), pc.Journal(folder / "run.db"))
try:
    print(run.finished())
except pc.exceptions.JournalInUse as error:
    print("replaced", error.message)
"""


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that was stopped while it had put a version in and had not said so."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    world, until = tmp_path / "world", time.monotonic() + 60
    while not (world.exists() and world.stat().st_size) and time.monotonic() < until:
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGSTOP)
    yield child
    child.kill()
    child.wait()


def test_a_stopped_holder_is_replaced(stopped: subprocess.Popen[str], tmp_path: Path) -> None:
    journal = tmp_path / "run.db"
    with pytest.raises(pc.exceptions.JournalInUse):
        pc.Journal(journal)
    holder = pc.Journal.holder(journal)
    assert holder is not None and holder.pid == stopped.pid
    assert timedelta(0) <= datetime.now(timezone.utc) - holder.since < timedelta(minutes=5)
    assert str(holder).startswith(f"process {stopped.pid} on ") and str(holder) in repr(holder)

    with pc.Journal.take_over(journal, holder, by="dana", reason="it hangs since noon") as taken:
        run = pc.Estate("house", [lb.Blocking(tmp_path / "world")]).reopen(taken)
        assert run is not None
        assert run.finished().verdict == "done", run.report()
        (over,) = [e for e in run.events() if isinstance(e, events.TakenOver) and e.forced is not None]
        assert over.forced is not None
        assert (over.forced["by"], over.forced["reason"]) == ("dana", "it hangs since noon")
        # What was put in before is not put in twice.
        assert (tmp_path / "world").read_text() == "7.4.2\n"
        stopped.send_signal(signal.SIGCONT)
        said, _ = stopped.communicate(timeout=60)
        assert said.startswith("replaced") and str(os.getpid()) in said, said
    assert (tmp_path / "world").read_text() == "7.4.2\n"
    assert pc.Journal.holder(journal) is None


def test_only_the_process_that_was_named(stopped: subprocess.Popen[str], tmp_path: Path) -> None:
    journal = tmp_path / "run.db"
    holder = pc.Journal.holder(journal)
    assert holder is not None
    assert pickle.loads(pickle.dumps(holder)) == holder == pc.Holder.from_dict(holder.to_dict())
    another = pc.Holder.from_dict({**holder.to_dict(), "pid": 1})
    assert another != holder
    with pytest.raises(pc.exceptions.JournalInUse, match="another process than was named"):
        pc.Journal.take_over(journal, another, by="dana", reason="it hangs")
    with pytest.raises(pc.exceptions.InvalidInput, match="needs a reason"):
        pc.Journal.take_over(journal, holder, by="dana", reason=" ")
    with pytest.raises(pc.exceptions.InvalidInput, match="nobody who holds a journal"):
        pc.Holder.from_dict({"pid": "one"})
