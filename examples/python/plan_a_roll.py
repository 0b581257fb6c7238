"""The roll of a whole cluster: which hosts go down when, and where every machine goes.

    python plan_a_roll.py [CLUSTER.json] [--objective WORD] [--partial] [--json] [--svg FILE] [--what-if WORDS]

Without a file it plans the cluster of examples/clusters/eight_hosts.json. The exit code is 0 with a roll, 2 for bad
input, and 3 where a person has to decide something first.
"""

import argparse
import os
import sys
from pathlib import Path

import patchcore as pc
from patchcore import roll

EXAMPLE = Path(__file__).resolve().parents[1] / "clusters/eight_hosts.json"


def main() -> int:
    known = argparse.ArgumentParser(description="plans the roll of a cluster")
    known.add_argument("cluster", nargs="?", type=Path, default=EXAMPLE)
    known.add_argument("--objective", default="knee", choices=[str(word) for word in roll.Objective])
    known.add_argument("--partial", action="store_true", help="leave out what cannot be emptied")
    known.add_argument("--json", action="store_true", help="every step as JSON")
    known.add_argument("--svg", type=Path, help="a picture as well")
    known.add_argument("--what-if", help='"one host fewer", "without HOST", "one more down" or "pin VM"')
    asked = known.parse_args()

    try:
        cluster = pc.Cluster.from_file(asked.cluster)
        plan = pc.plan_roll(cluster, asked.objective, allow_partial=asked.partial)
    except roll.NoRoll as none:
        print(none)
        return 3
    except (pc.Error, OSError) as error:
        print(error, file=sys.stderr)
        return 2

    print(plan.to_json() if asked.json else plan)
    if asked.svg:
        asked.svg.write_text(plan.svg(), encoding="utf-8")
    if asked.what_if:
        print("what if:", roll.what_if(cluster, asked.what_if, asked.objective, allow_partial=asked.partial))
    return 0


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads only the first lines has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
