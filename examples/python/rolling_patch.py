"""A whole roll-out, on a simulated estate: plan, approve, run, report.

In earnest, one line is another: ``pc.Linux.from_file("inventory.toml")`` in place of ``simulated()``.
"""

import sys

import patchcore as pc

POLICY = """
policy = 1
name = "monthly-linux"
approval.from = ["maria", "jon"]

[[window]]
name = "weeknights"
zone = "Europe/Berlin"
when = "mon..thu"
from = "22:00"
until = "04:00"

[[ring]]
name = "test"
select = "ring = test"
soak = "24h"

[[ring]]
name = "broad"
select = "*"
at_once = "2"
start_after = { ring = "test", success = "95%", at_least = 2 }
soak = "48h"
"""


def simulated() -> pc.Sim:
    """Six web servers with a patch on offer. A fault is planned with ``pc.Script``."""
    sim = pc.Sim("2026-12-07T14:00:00Z", seed=7)
    for names, ring in ((("web-t1", "web-t2"), "test"), (("web-01", "web-02", "web-03", "web-04"), "broad")):
        sim.guest(
            *names,
            packages={"nginx": "1.22.1-9"},
            labels={"tier": "web", "ring": ring},
            address="{name}.example",
        )
    sim.publish(pc.Patch("nginx", "1.22.1-10", patch_class="security", impact="service_restart"))
    return sim


estate = pc.Estate("dc-north", [simulated()])
journal = pc.Journal(sys.argv[1]) if len(sys.argv) > 1 else pc.Journal.in_memory()

run = estate.reopen(journal)  # what a crash left open goes on first
if run is None:
    plan = estate.plan(pc.Policy.from_toml(POLICY), requested_by="sam")  # changes nothing
    print(plan, end="\n\n")
    run = estate.run(plan.approve(plan.approval("maria")), journal)

with run:  # leaving early pauses at a safe point and keeps the journal
    for event in run.events():
        print(event)

report = run.report()  # what was observed, not what was returned
print(report)
sys.exit(report.exit_code)
