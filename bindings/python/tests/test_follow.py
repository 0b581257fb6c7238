"""A run on a terminal, and where there is none."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

import lb
import patchcore as pc
from patchcore import _follow


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_lines_where_there_is_no_terminal(
    estate: pc.Estate, approved: pc.ApprovedPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    run = estate.run(approved, pc.Journal.in_memory())
    pc.follow(run)
    shown = capsys.readouterr().out
    assert shown.splitlines() == list(run.lines())
    assert "the run is done" in shown


def test_a_block_below_the_lines_on_a_terminal(tmp_path: Path) -> None:
    out = Terminal()
    run = lb.begun(lb.Blocking(tmp_path / "world", sleep=0.6), pc.Journal.in_memory())
    pc.follow(run, file=out)
    shown = out.getvalue()
    assert "▓" * _follow.BAR in shown and "█" * _follow.BAR in shown
    assert "lb-1  is being patched, since" in shown and "1 at work" in shown
    for line in run.lines():
        assert line in shown


def test_lines_on_a_terminal_without_rich(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    out = Terminal()
    run = lb.begun(lb.Blocking(tmp_path / "world"), pc.Journal.in_memory())
    pc.follow(run, file=out)
    assert out.getvalue().splitlines() == list(run.lines())


def test_a_heartbeat_says_what_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_follow, "HEARTBEAT", 0.25)
    out = io.StringIO()
    run = lb.begun(lb.Blocking(tmp_path / "world", sleep=0.8), pc.Journal.in_memory())
    pc.follow(run, file=out)
    assert "waiting: ring all goes on when lb-1 is back in service" in out.getvalue()


def test_a_bar_shows_whatever_is_there() -> None:
    ring = pc.RingProgress("r", 1000, 996, 1, 0, 1, 1, 1, 0)
    bar = _follow._bar(ring).plain
    assert len(bar) == _follow.BAR and all(sign in bar for sign in "█▚▓░")


def test_many_at_work_are_counted(estate: pc.Estate, approved: pc.ApprovedPlan) -> None:
    run = estate.run(approved, pc.Journal.in_memory())
    run.finished()
    progress = run.progress()
    one = pc.ComponentProgress("web-[red]", "r", "is patched", progress.now, None, "40 %")
    import dataclasses

    console = Console(file=io.StringIO(), width=100)
    console.print(_follow.block(dataclasses.replace(progress, at_work=(one,) * 20)))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "+ 12 more at work" in shown
    # What a provider names is no markup.
    assert "web-[red]  is patched" in shown and "· 40 %" in shown
