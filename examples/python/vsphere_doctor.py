"""What one owns: a vCenter looked through for all that stands in the way of a roll. It only reads.

    python vsphere_doctor.py [--settings FILE] [--json] [--transcript FILE]

``--settings`` names a file with ``server``, ``user``, ``password_file`` and so on. Without it this starts a server that
stands for a vCenter, with some trouble planted (``cargo xtask test peers`` builds it once). ``--transcript`` also writes
what the vCenter answered, with stand-ins for all names: look through it, then donate it as a test. The exit code is 0
where every cluster can do without each of its hosts and nobody lacks a right, and 3 where a person has to look first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import patchcore as pc
from vcenter_stand import PASSWORD, USER, Stand


def looked_through(settings: Path | None, transcript: Path | None) -> pc.vsphere.Checkup:
    """One look."""
    if settings is not None:
        vcenter = pc.VCenter.from_file(settings)
        found = vcenter.checkup(transcript=transcript)
        vcenter.log_out()
        return found
    with Stand(4, 24) as stand:
        stand.plant_trouble()
        vcenter = pc.VCenter(
            server=stand.server, user=USER, password=pc.Secret(PASSWORD), ca_file=stand.ca
        )
        return vcenter.checkup(transcript=transcript)


def main() -> int:
    known = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known.add_argument("--settings", type=Path, help="which vCenter, as whom")
    known.add_argument("--json", action="store_true", help="everything as JSON")
    known.add_argument("--transcript", type=Path, help="a file for what the vCenter answered, without names")
    asked = known.parse_args()
    try:
        found = looked_through(asked.settings, asked.transcript)
    except (pc.Error, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(found.to_dict(), indent=2) if asked.json else found)
    return 0 if found.in_order else 3


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads only the first lines has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 3
    sys.exit(code)
