"""A true plan for the machine it runs on, and with ``--apply`` the work itself. Debian, Ubuntu and their kin.

Without ``--apply`` it needs no right and changes nothing. ``--apply`` needs root, writes a journal, and may be killed at
any moment: run it again, and it goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import patchcore as pc

POLICY = Path(__file__).parent.parent / "policies/this-machine.toml"
OPERATOR = "operator"  # a machine with one person has nobody else: whoever types --apply approves


def arguments() -> argparse.Namespace:
    """What was typed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apply", action="store_true", help="carry the plan out; needs root")
    parser.add_argument("--journal", type=Path, default="/var/lib/patchcore/this_machine.db")
    return parser.parse_args()


def main() -> int:
    """The exit code of the report; 0 where there was nothing to do."""
    typed = arguments()
    estate = pc.Estate("this-machine", [pc.Linux()])
    policy = pc.Policy.from_file(POLICY)
    if not typed.apply:
        print(estate.plan(policy, requested_by="this_machine"))
        print("\nnothing was changed; --apply as root carries it out")
        return 0
    if os.geteuid() != 0:
        sys.exit("--apply needs root: nothing was read or changed")

    typed.journal.parent.mkdir(parents=True, exist_ok=True)
    with pc.Journal(typed.journal) as journal:
        run = estate.reopen(journal)  # what a crash left open goes on first
        if run is None:
            plan = estate.plan(policy, requested_by="this_machine", history=journal)
            print(plan)
            if plan.is_empty:
                print("\nnothing was changed")
                return 0
            run = estate.run(plan.approve(plan.approval(OPERATOR)), journal)
        with run:
            pc.follow(run)
            report = run.report()
    print(f"\n{report}")
    return report.exit_code


sys.exit(main())
