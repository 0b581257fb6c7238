"""A cluster of a vCenter, rolled: its hosts get a new image, and every machine keeps running.

    python vsphere_roll.py [--hosts N] [--machines N] [--task MS] [--journal FILE]

It starts a server that stands for a vCenter (``cargo xtask test peers`` builds it once), reads the cluster, plans the
roll with its bounds, approves and carries it out, and then asks the server what it saw. With a vCenter of your own the
lines are the same, with ``pc.VCenter.from_file("vsphere.toml")``. The exit code is that of the report; 1 where the
server saw what must not be.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import patchcore as pc
from vcenter_stand import BUILD, CLUSTER, PASSWORD, USER, Stand

POLICY = Path(__file__).parent.parent / "policies/hosts.toml"


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=8, help="how many hosts the cluster has")
    parser.add_argument("--machines", type=int, default=24, help="how many machines run on them")
    parser.add_argument("--task", type=int, default=2000, help="how long each task takes, in ms")
    parser.add_argument("--journal", type=Path, help="where the run is kept; without it, nowhere")
    return parser.parse_args()


def rolled(vcenter: pc.VCenter, journal: pc.Journal) -> pc.Report:
    """The roll, from the plan to the report."""
    print(vcenter.full_name(), end="\n\n")
    cluster = vcenter.cluster(CLUSTER)
    estate = pc.Estate("dc-south", [cluster])

    run = estate.reopen(journal)  # what a crash left open goes on first
    if run is None:
        plan = estate.plan(pc.Policy.from_file(POLICY), requested_by="sam", history=journal)
        print(plan, end="\n\n")
        read = vcenter.read_cluster(cluster)
        for stays in read.pinned:
            print(f"{stays.vm}: stays on {stays.host}: {stays.why}")
        roll = pc.plan_roll(read.cluster.for_plan(plan), "knee")  # the hosts of this plan
        print(roll, end="\n\n")
        approved = plan.approve(plan.approval("maria"))
        run = estate.run_rolling(approved, [pc.ClusterRoll.of(cluster, roll)], journal)

    with run:  # leaving early pauses at a safe point and keeps the journal
        for line in run.lines():
            print(line)
    return run.report()


def main() -> int:
    """0 done, 1 halted, 2 bad input, 3 needs a person, 4 parked."""
    typed = arguments()
    with Stand(typed.hosts, typed.machines) as stand:
        stand.furnish(typed.task)
        vcenter = pc.VCenter(
            server=stand.server, user=USER, password=pc.Secret(PASSWORD), ca_file=stand.ca
        )
        with pc.Journal(typed.journal) if typed.journal else pc.Journal.in_memory() as journal:
            report = rolled(vcenter, journal)
        print(f"\n{report}\n")
        faults = stand.faults()
        if faults:
            print("what must not be:", "; ".join(faults))
            return 1
        print(f"as the server saw it: {typed.hosts} hosts run build {BUILD}, each restarted once; {typed.machines} machines run")
        return report.exit_code


if __name__ == "__main__":
    try:
        code = main()
    except (pc.Error, OSError) as error:
        print(error, file=sys.stderr)
        code = 2
    sys.exit(code)
