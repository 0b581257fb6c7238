"""A fleet of Debian machines over SSH, from an inventory file to a report. Run it again, and it goes on.

Nothing is changed before somebody approves: ``--approve-as NAME``. On a lab of real guests that patchcore makes itself:

    cargo xtask lab up
    cargo xtask lab enter -- python examples/python/linux_fleet.py --inventory target/lab/inventory.toml
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import patchcore as pc

POLICY = Path(__file__).parent.parent / "policies/fleet.toml"


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inventory", type=Path, required=True, help="the machines")
    parser.add_argument("--policy", type=Path, default=POLICY, help="by whose rule")
    parser.add_argument("--journal", type=Path, default="linux_fleet.db")
    parser.add_argument("--requested-by", default="sam", help="who asks for the plan")
    parser.add_argument("--approve-as", help="approve the plan and carry it out")
    parser.add_argument("--patience", help="bring the run to a safe point after so long, such as 10m")
    return parser.parse_args()


def main() -> int:
    """0 done, 1 halted, 2 bad input, 3 needs a person, 4 parked."""
    typed = arguments()
    estate = pc.Estate("fleet", [pc.Linux.from_file(typed.inventory)])
    with pc.Journal(typed.journal) as journal:
        run = estate.reopen(journal)  # what a crash left open, or what was parked, goes on first
        if run is None:
            policy = pc.Policy.from_file(typed.policy)
            plan = estate.plan(policy, requested_by=typed.requested_by, history=journal)
            print(plan, end="\n\n")
            if plan.is_empty:
                return 0
            if typed.approve_as is None:
                print("nothing was changed · to approve it: the same again with --approve-as NAME")
                return 3
            run = estate.run(plan.approve(plan.approval(typed.approve_as)), journal)
        with run:
            if typed.patience is None:
                pc.follow(run, new=True)
            else:
                print(run.finished_or_parked(typed.patience))
            report = run.report()
    print(f"\n{report}")
    return report.exit_code


try:
    sys.exit(main())
except pc.Error as error:
    print(error, file=sys.stderr)
    sys.exit(2)
