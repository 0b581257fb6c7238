"""Measures one command with everything that it starts, also what it leaves running behind it.

    measure.py OUTPUT COMMAND...

The command's output goes to the file OUTPUT; what was measured is printed as one line of JSON:
wall and CPU in seconds, the peaks of resident memory in bytes, and the status.
"""

import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36
PAGE = os.sysconf("SC_PAGE_SIZE")
# The peak of a run of a second must not fall between two looks.
LOOK_SECONDS = 0.05


def descendants():
    """All processes below this one; what lost its parent is ours, since we are their subreaper."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    parent = int(stat.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    found, open_ = [], [os.getpid()]
    while open_:
        below = children.get(open_.pop(), [])
        found += below
        open_ += below
    return found


def resident(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * PAGE


def proportional(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def total(of, pids):
    amount = 0
    for pid in pids:
        try:
            amount += of(pid)
        except OSError:
            # It ended between the list and the look.
            pass
    return amount


class Looker(threading.Thread):
    """Looks at the processes again and again, and keeps the peaks."""

    def __init__(self):
        super().__init__(daemon=True)
        self.over = threading.Event()
        self.rss = self.pss = self.processes = 0

    def run(self):
        while not self.over.is_set():
            pids = descendants()
            self.rss = max(self.rss, total(resident, pids))
            self.pss = max(self.pss, total(proportional, pids))
            self.processes = max(self.processes, len(pids))
            # Looking at eighty processes takes its time; it must not slow down what is measured.
            self.over.wait(LOOK_SECONDS * max(1, len(pids) / 8))


def end_all():
    """Ends what the command left behind, and waits, so that its CPU time is counted."""
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        for pid in descendants():
            try:
                os.kill(pid, signal_)
            except OSError:
                pass
        patience = time.monotonic() + 2
        while time.monotonic() < patience:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.02)
            except ChildProcessError:
                return


def main():
    output, command = sys.argv[1], sys.argv[2:]
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("this kernel lets no process be a subreaper")
    looker = Looker()
    looker.start()
    started = time.monotonic()
    with open(output, "wb") as out:
        status = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
    wall = time.monotonic() - started
    looker.over.set()
    looker.join()
    end_all()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        json.dumps(
            {
                "status": status,
                "wall": wall,
                "cpu": used.ru_utime + used.ru_stime,
                # The biggest single process, as the kernel counted it without a gap.
                "rss": max(looker.rss, used.ru_maxrss * 1024),
                "pss": looker.pss,
                "processes": looker.processes,
                "load": os.getloadavg()[0],
            }
        )
    )


main()
