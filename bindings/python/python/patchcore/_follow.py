"""A run on a terminal: its lines as they come and, with ``patchcore[rich]``, one live block below them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from ._run import Run
from .values import Progress, RingProgress

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

REFRESH = 0.25
"""So often the block is drawn anew, in seconds: often enough to be seen to move, and cheap beside the run."""
HEARTBEAT = 60.0
"""Where nothing is told for so long, one line says what is waited for."""
BAR = 24
MOST = 8
"""So many components at work are named; the others are counted."""


class _Screen(Protocol):
    def line(self, line: str) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


def follow(run: Run, *, new: bool = False, file: TextIO | None = None) -> None:
    """Show a run until nothing more will happen by itself.

    Its lines as people read them; on a terminal with ``rich`` installed also one live block: a bar for each ring, a line
    for each component at work, the estimated end. Elsewhere a line says from time to time what is waited for. With
    ``new``, of a run that was reopened only from its taking over on. Ctrl-C takes effect as in every call of a run.
    """
    out = sys.stdout if file is None else file
    screen = _screen(run, out)
    lines = run._native.lines(new)
    try:
        while (line := _next(run, lines, screen.tick)) is not None:
            screen.line(line)
    finally:
        screen.close()


def _next(run: Run, lines: Any, tick: Callable[[], None]) -> str | None:
    """The next line, with a tick as long as there is none."""
    over = threading.Event()
    call = lines.next()
    try:
        call.start(over.set)
        while not over.wait(REFRESH):
            tick()
    except KeyboardInterrupt:
        call.abandon()
        run._interrupted()
        raise
    line: str | None = call.answer()
    return line


def _screen(run: Run, out: TextIO) -> _Screen:
    if out.isatty():
        try:
            from rich.console import Console
        except ImportError:
            return _Plain(run, out)
        return _Live(run, Console(file=out))
    return _Plain(run, out)


class _Plain:
    """Lines, and a heartbeat."""

    def __init__(self, run: Run, out: TextIO) -> None:
        self._run, self._out, self._silent = run, out, 0.0

    def line(self, line: str) -> None:
        self._silent = 0.0
        print(line, file=self._out, flush=True)

    def tick(self) -> None:
        self._silent += REFRESH
        if self._silent >= HEARTBEAT:
            self.line(self._run.standing.text)

    def close(self) -> None:
        pass


class _Live:
    """Lines above one block that is drawn again and again."""

    def __init__(self, run: Run, console: Console) -> None:
        from rich.live import Live

        self._run = run
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()

    def line(self, line: str) -> None:
        self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self.tick()

    def tick(self) -> None:
        self._live.update(block(self._run.progress()), refresh=True)

    def close(self) -> None:
        self._live.stop()


def block(progress: Progress) -> RenderableType:
    """How far a run is, for rich."""
    from rich.console import Group
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    rings = Table.grid(padding=(0, 2))
    for ring in progress.rings:
        rings.add_row(ring.ring, _bar(ring), _counts(ring))
    title = Text(f"run {progress.run} · {progress.standing.text}")
    parts: list[RenderableType] = [Rule(title, align="left"), rings]
    for one in progress.at_work[:MOST]:
        says = f" · {one.says}" if one.says else ""
        parts.append(Text(f"  {one.component}  {one.doing}, since {_clock(one.since)}{says}"))
    if len(progress.at_work) > MOST:
        parts.append(Text(f"  + {len(progress.at_work) - MOST} more at work", style="dim"))
    ends = "nobody can say when it ends" if progress.ends is None else f"ends about {_clock(progress.ends)}"
    parts.append(Text(f"{_clock(progress.now)} · {ends}", style="dim"))
    return Group(*parts)


def _bar(ring: RingProgress) -> Text:
    """One block of the bar stands for the same number of components everywhere in it."""
    from rich.text import Text

    parts = (
        ("green", "█", ring.done + ring.in_service),
        ("red", "▚", ring.failed + ring.undecided),
        ("yellow", "▓", ring.at_work),
        ("dim", "░", ring.waiting + ring.skipped),
    )
    bar, before, drawn = Text(), 0, 0
    for style, sign, count in parts:
        before += count
        # Rounded down, except that what is there is seen.
        to = min(BAR, max(before * BAR // max(ring.components, 1), drawn + (count > 0)))
        bar.append(sign * (to - drawn), style)
        drawn = to
    return bar


def _counts(ring: RingProgress) -> str:
    further = (
        (ring.at_work, "at work"),
        (ring.failed, "failed"),
        (ring.undecided, "for a person"),
        (ring.waiting, "waiting"),
        (ring.skipped, "skipped"),
    )
    first = f"{ring.done + ring.in_service} of {ring.components} back in service"
    return " · ".join([first, *(f"{count} {word}" for count, word in further if count)])


def _clock(at: datetime) -> str:
    return f"{at:%a} {at.day} {at:%b %H:%M:%S %Z}"
