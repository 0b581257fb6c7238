"""What patchcore costs from Python: started by ``cargo xtask bench python`` in an environment with the released wheel.

Each figure is measured beside its yardstick in the same run. The exit code is 1 where one is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import patchcore as pc

ROOT = Path(__file__).resolve().parents[1]


class Row(NamedTuple):
    """One figure beside its limit."""

    name: str
    found: str
    limit: str
    reached: bool
    more: str = ""

    def __str__(self) -> str:
        said = f"{self.name:50} {self.found:>12}  {self.limit:<16} {'ok' if self.reached else 'MISSED'}"
        return said + (f"   ({self.more})" if self.more else "")


ROWS: list[Row] = []


def row(name: str, found: str, limit: str, reached: bool, more: str = "") -> None:
    """Show it, and keep it for the page."""
    ROWS.append(Row(name, found, limit, reached, more))
    print(ROWS[-1], flush=True)


def figure(name: str, found: float, limit: float, unit: str, more: str = "") -> None:
    """One figure, and whether it is reached."""
    row(name, f"{found:.2f} {unit}", f"at most {limit:g} {unit}", found <= limit, more)


def import_time() -> None:
    """The median of nine, over that of bare Python, interleaved."""
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(9):
        for code, into in (("pass", bare), ("import patchcore", ours)):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            into.append(time.perf_counter() - began)
    figure("import over bare Python", statistics.median(ours) - statistics.median(bare), 0.1, "s")


def per_call(call: object, times: int) -> float:
    """In microseconds."""
    began = time.perf_counter()
    for _ in range(times):
        call()  # type: ignore[operator]
    return (time.perf_counter() - began) / times * 1e6


def discover() -> None:
    """An empty simulated estate, through the runtime and the looking for signals; beside its yardstick, turn by turn,
    because a processor that changes its pace between the two would be measured in place of them."""
    estate = pc.Estate("lab", [pc.Sim("2026-12-07T14:00:00Z")])
    estate.discover()
    turns = [
        (per_call(estate.discover, 500), per_call(lambda: json.dumps({}), 3000)) for _ in range(101)
    ]
    ratio = statistics.median(ours / dumps for ours, dumps in turns)
    ours, dumps = (statistics.median(turn[n] for turn in turns) for n in (0, 1))
    more = f"{ours:.1f} us, json.dumps({{}}) {dumps:.2f} us"
    figure("discover() of an empty simulated estate", ratio, 10, "x", more)


class Many(pc.SimpleProvider):
    """A thousand components whose patches take long."""

    name = "many"
    quiet_after = timedelta(seconds=1)

    def __init__(self, components: int, seconds: float) -> None:
        self.names, self.seconds = [f"c-{n}" for n in range(components)], seconds
        self.installed = dict.fromkeys(self.names, "1")
        self.flying = self.most = 0

    def components(self) -> list[pc.Component]:
        return [pc.Component(name) for name in self.names]

    def available(self, component: pc.Component) -> list[pc.Patch]:
        return [pc.Patch("firmware", "2", patch_class="security", impact="none")]

    def scan(self, component: pc.Component) -> pc.Installed:
        return pc.Installed({"firmware": self.installed[component.id]})

    async def apply(self, component: pc.Component, patch: pc.Patch) -> None:
        self.flying += 1
        self.most = max(self.most, self.flying)
        await asyncio.sleep(self.seconds)
        self.flying -= 1
        self.installed[component.id] = patch.version


class Ticker(threading.Thread):
    """Ticks each 10 ms, and counts the ticks that came late by more than that."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.late = self.all = 0
        self.going = True

    def run(self) -> None:
        due = time.perf_counter()
        while self.going:
            due += 0.01
            time.sleep(max(0.0, due - time.perf_counter()))
            now = time.perf_counter()
            self.all += 1
            self.late += now - due > 0.01
            due = max(due, now - 0.01)


def late_share(work: object) -> float:
    """The share of late ticks while something is done, in percent."""
    ticker = Ticker()
    ticker.start()
    work()  # type: ignore[operator]
    ticker.going = False
    ticker.join()
    return 100 * ticker.late / ticker.all


def ticking() -> None:
    """A thousand components in flight for twenty seconds, while a thread ticks; idle before and after it."""
    policy = pc.Policy.from_toml(
        'name = "now"\napproval.from = ["maria"]\nwindow = [{ name = "w", when = "any time" }]\n'
        'ring = [{ name = "all", select = "*", at_once = "1000", soak = "0s" }]'
    )
    many = Many(1000, 24)
    estate = pc.Estate("house", [many])
    plan = estate.plan(policy, requested_by="sam")
    idle = [late_share(lambda: time.sleep(5))]
    run = estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory())
    while many.flying < 1000:
        time.sleep(0.05)
    began = time.monotonic()

    def in_flight() -> None:
        while many.flying == 1000:
            time.sleep(0.1)

    busy = late_share(in_flight)
    flown = time.monotonic() - began
    standing = run.finished()
    assert standing.verdict == "done", standing
    assert flown >= 20, f"1,000 components were in flight for {flown:.1f} s only"
    idle.append(late_share(lambda: time.sleep(5)))
    limit = max(5.0, 2 * statistics.mean(idle))
    more = f"idle {idle[0]:.2f} and {idle[1]:.2f} %, {many.most} in flight for {flown:.0f} s"
    figure("late ticks with 1,000 components in flight", busy, limit, "%", more)


def interrupted() -> None:
    """Ten tries in each place where a program may wait; the programs are those of the tests."""
    sys.path.insert(0, str(ROOT / "bindings/python/tests"))
    import scenes

    for scene in scenes.SCENES:
        with tempfile.TemporaryDirectory() as folder:
            slowest = max(scenes.late(scene, Path(folder)))
        figure(f"Ctrl-C in {scene}, slowest of 10", slowest, scenes.LIMIT_MS, "ms")


def fleet(measured: Path) -> dict[str, Any]:
    """What the measuring of real guests found; where it could not be made, its figures are missed."""
    if not measured.exists():
        row("gather of Debian guests beside pyinfra", "not measured", "", False)
        return {"about": [], "runs": []}
    told: dict[str, Any] = json.loads(measured.read_text())
    for judged in told["judged"]:
        row(f"{told['guests']} guests: {judged['what']}", judged["found"], judged["target"], judged["holds"])
    return told


def page(told: dict[str, Any], load: tuple[float, float]) -> str:
    """The page of evidence."""
    lines = ["# What Python programs pay, as last measured", ""]
    lines += ["Written by `cargo xtask bench python --write`; do not edit.", ""]
    lines += [f"- {key}: {value}" for key, value in told["about"]]
    runs = told["runs"]
    loads = [*load, *(run["figures"]["load"] for run in runs)]
    lines += [f"- load of the machine: {min(loads):.1f} to {max(loads):.1f}", ""]
    lines += ["| figure | found | limit | |", "|---|---|---|---|"]
    for r in ROWS:
        more = f" ({r.more})" if r.more else ""
        lines.append(f"| {r.name} | {r.found}{more} | {r.limit} | {'met' if r.reached else '**not met**'} |")
    if runs:
        lines += ["", "## The guests", ""]
        lines += [
            f"{told['guests']} real Debian guests with sshd, in one network on the same machine; each line is a run.",
            "Each tool asks all of them what `apt-get -s dist-upgrade` says; patchcore reads all of a scan with it.",
            "CPU is user and system time of a tool and of all it starts; PSS is the peak of their sum in `smaps_rollup`.",
            "Wall time is shown only, since the guests share the processors.",
            "",
            "| tool | wall s | CPU s | PSS MB | processes | load |",
            "|---|---|---|---|---|---|",
        ]
        for run in runs:
            f = run["figures"]
            found = f"{f['wall']:.2f} | {f['cpu']:.2f} | {f['pss'] / 1e6:.1f} | {f['processes']} | {f['load']:.1f}"
            lines.append(f"| {TOOLS[run['tool']]} | {found} |")
    return "\n".join(lines) + "\n"


TOOLS = {"python": "patchcore from Python", "pyinfra": "pyinfra"}


def arguments() -> argparse.Namespace:
    """What ``cargo xtask bench python`` fills in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel that is installed here")
    parser.add_argument("--fleet", type=Path, required=True, help="what was measured on real guests")
    parser.add_argument("--page", type=Path, help="the page of evidence")
    return parser.parse_args()


def main() -> int:
    """1 where a figure is missed."""
    typed = arguments()
    print(f"patchcore {pc.__version__} on Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    before = os.getloadavg()[0]
    told = fleet(typed.fleet)
    figure("wheel", typed.wheel.stat().st_size / 2**20, 15, "MB")
    import_time()
    discover()
    ticking()
    interrupted()
    missed = [row.name for row in ROWS if not row.reached]
    print("missed: " + (", ".join(missed) or "nothing"))
    if typed.page is not None:
        typed.page.write_text(page(told, (before, os.getloadavg()[0])))
        print(f"written to {typed.page}")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main())
