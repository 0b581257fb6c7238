"""Where Ctrl-C must take effect at once, each a program of its own; also measured by ``cargo xtask bench python``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
LIMIT_MS = 250.0

#: Sends SIGINT a while after a call begins, and says how late it took effect.
HARNESS = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
from datetime import timedelta
from pathlib import Path
import lb
import patchcore as pc
folder = Path(sys.argv[1])

def late(call, wait):
    sent = []
    def send():
        time.sleep(wait)
        sent.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        call()
    except KeyboardInterrupt:
        ms = (time.perf_counter() - sent[0]) * 1000
        thread.join()
        return ms
    thread.join()
    sys.exit("it was not interrupted")

def measure(call, tries):
    print("late", *(f"{late(call, 0.15 + 0.013 * n):.1f}" for n in range(tries)), flush=True)
"""

SCENES = {
    "a hanging network call": """
import socket
silent = socket.socket()
silent.bind(("127.0.0.1", 0))
silent.listen(64)
inventory = folder / "inventory.toml"
inventory.write_text(
    'inventory = 1\\n[[host]]\\nname = "web-1"\\naddress = "127.0.0.1"\\nuser = "op"\\n'
    'host_key = "SHA256:mV0GD4CcLyuD8cCrcqYuAcYHa9rEoHF5YJDhBLLuW2E"\\nport = %d\\n' % silent.getsockname()[1]
)
estate = pc.Estate("lab", [pc.Linux.from_file(inventory)])
measure(estate.discover, 10)
""",
    "a planner loop": """
sim = pc.Sim("2026-12-07T14:00:00Z")
sim.guest(*(f"web-{n}" for n in range(2000)), packages={"nginx": "1.22.1-9"})
sim.publish(pc.Patch("nginx", "1.22.1-10", patch_class="security"))
estate = pc.Estate("lab", [sim])
def loop():
    while True:
        assert len(estate.plan(lb.POLICY, requested_by="sam").components) == 2000
measure(loop, 10)
""",
    "discovering a large estate": """
sim = pc.Sim("2026-12-07T14:00:00Z")
sim.guest(*(f"web-{n}" for n in range(20000)), packages={"nginx": "1.22.1-9"})
estate = pc.Estate("lab", [sim])
def loop():
    while True:
        estate.discover()
measure(loop, 10)
""",
    "a sleeping provider": """
class Sleeps(lb.Blocking):
    def scan(self, component):
        time.sleep(600)
estate = pc.Estate("house", [Sleeps(folder / "world")])
measure(estate.discover, 10)
""",
    "for event in run.events()": """
class Slow(lb.Awaiting):
    async def apply(self, component, patch):
        import asyncio
        await asyncio.sleep(600)
run = lb.begun(Slow(folder / "world"), pc.Journal(folder / "run.db"))
measure(lambda: [event for event in run.events()], 10)
os._exit(0)  # what is in flight would be waited for
""",
    "waiting for the journal": """
import subprocess
journal = pc.Journal(folder / "run.db")
estate = pc.Estate("house", [lb.Blocking(folder / "world")])
plan = estate.plan(lb.POLICY, requested_by="sam")
approved = plan.approve(plan.approval("maria"))
holds = (
    "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
    "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(600)"
)
# Another process: two copies of SQLite in one do not see each other's locks.
other = subprocess.Popen([sys.executable, "-c", holds, str(folder / "run.db")], stdout=subprocess.PIPE)
other.stdout.readline()
measure(lambda: estate.run(approved, journal), 10)
other.kill()
os._exit(0)
""",
}


def child(code: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HARNESS + code, str(folder)],
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def late(scene: str, folder: Path) -> list[float]:
    """How late each try took effect, in milliseconds."""
    out, err = child(SCENES[scene], folder).communicate(timeout=120)
    told = [line for line in out.splitlines() if line.startswith("late ")]
    assert told, err
    return [float(ms) for ms in told[0].split()[1:]]
