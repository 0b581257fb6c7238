"""What patchcore costs from Python: started by ``cargo xtask bench python`` in an environment with the released wheel.

Each figure is measured beside its yardstick in the same run. The exit code is 1 where one is missed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from datetime import timedelta

import patchcore as pc

MISSED: list[str] = []


def figure(name: str, found: float, limit: float, unit: str, more: str = "") -> None:
    """One line, and whether the figure is reached."""
    reached = found <= limit
    print(f"{name:44} {found:8.2f} {unit}  at most {limit:.2f}  {'ok' if reached else 'MISSED'}{more}", flush=True)
    if not reached:
        MISSED.append(name)


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
    more = f"   ({ours:.1f} us, json.dumps({{}}) {dumps:.2f} us)"
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
    many = Many(1000, 22)
    estate = pc.Estate("house", [many])
    plan = estate.plan(policy, requested_by="sam")
    run = estate.run(plan.approve(plan.approval("maria")), pc.Journal.in_memory())
    while many.flying < 1000:
        time.sleep(0.05)
    began = time.monotonic()
    idle = [late_share(lambda: time.sleep(3))]

    def in_flight() -> None:
        while many.flying == 1000:
            time.sleep(0.1)

    busy = late_share(in_flight)
    flown = time.monotonic() - began
    standing = run.finished()
    assert standing.verdict == "done", standing
    idle.append(late_share(lambda: time.sleep(5)))
    limit = max(5.0, 2 * idle[1])
    more = f"   (idle {idle[1]:.2f} %, {many.most} in flight for {flown:.0f} s)"
    figure("late ticks with 1,000 components in flight", busy, limit, "%", more)


def interrupted() -> None:
    """Ten tries in a call that waits for a provider that sleeps."""

    class Sleeps(Many):
        def scan(self, component: pc.Component) -> pc.Installed:
            time.sleep(600)
            raise AssertionError

    estate = pc.Estate("house", [Sleeps(1, 0)])
    slowest = 0.0
    for n in range(10):
        sent: list[float] = []

        def send(wait: float = 0.15 + 0.013 * n, sent: list[float] = sent) -> None:
            time.sleep(wait)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=send).start()
        try:
            estate.discover()
        except KeyboardInterrupt:
            slowest = max(slowest, (time.perf_counter() - sent[0]) * 1000)
    figure("Ctrl-C in a sleeping provider, slowest of 10", slowest, 250, "ms")


def main() -> int:
    print(f"patchcore {pc.__version__} on Python {sys.version.split()[0]}, {os.cpu_count()} processors")
    import_time()
    discover()
    ticking()
    interrupted()
    print("missed: " + (", ".join(MISSED) or "nothing"))
    sys.stdout.flush()
    os._exit(bool(MISSED))  # what sleeps would be waited for


if __name__ == "__main__":
    main()
