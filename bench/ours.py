"""Our side of the measuring from Python: every machine of an inventory is scanned, as its author's program would do it."""

import sys

import patchcore as pc

found = pc.Estate("bench", [pc.Linux.from_file(sys.argv[1])]).discover()
if found.gaps:
    sys.exit(f"not everything was learned: {found.gaps}")
offered = sum(len(finding["available"]["patches"]) for name in found for finding in found.findings(name))
print(f"{len(found)} machines, {offered} patches")
