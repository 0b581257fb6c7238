"""One plan for the hosts of a vCenter and two guests of a lab that are machines in it: carried out, and told as JSON.

both.py INVENTORY POLICY: runs in the network of the guests, and starts the server that stands for a vCenter there.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import patchcore as pc
from vcenter_stand import CLUSTER, PASSWORD, USER, Stand


def told(event: Any) -> dict[str, Any]:
    """What is judged of an event."""
    plain: dict[str, Any] = event.to_dict()
    return {"at": event.at.isoformat(), "component": getattr(event, "component", None), "event": plain}


def main() -> None:
    inventory, policy = sys.argv[1:]
    with Stand(4, 8) as stand:
        stand.furnish(500)
        # In the vCenter it has another name than its system has of itself, and a greater one.
        stand.tell("machine", {"name": "DC0_C0-vm0002", "rename": "name-server-2"})
        vcenter = pc.VCenter(server=stand.server, user=USER, password=pc.Secret(PASSWORD), ca_file=stand.ca)
        cluster = vcenter.cluster(CLUSTER)
        estate = pc.Estate("both", [pc.Linux.from_file(inventory), cluster])
        found = estate.discover()
        plan = estate.plan(pc.Policy.from_file(policy), requested_by="sam")
        roll = pc.plan_roll(vcenter.read_cluster(cluster).cluster.for_plan(plan), "fastest")
        approved = plan.approve(plan.approval("maria"))
        journal = pc.Journal.in_memory()
        run = estate.run_rolling(approved, [pc.ClusterRoll.of(cluster, roll)], journal)
        events = [told(event) for event in run.events()]
        report = run.report()
        answer = {
            "seen_by": {name: sorted(found[name]["seen_by"]) for name in found},
            "plan": str(plan),
            "events": events,
            "lines": [str(line) for line in run.lines()],
            "report": str(report),
            "exit_code": report.exit_code,
            "faults": stand.faults(),
            "journal": stand.ask("journal"),
        }
    print(json.dumps(answer))


main()
