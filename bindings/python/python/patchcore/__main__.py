"""A journal on disk, read and steered from a command line: ``python -m patchcore run.db status``."""

from __future__ import annotations

import os
import sys

from . import _native


def main() -> int:
    """Carry out what was typed; the answer is the exit code."""
    me = os.environ.get("USER") or os.environ.get("LOGNAME")
    try:
        words = [] if sys.argv[1:] in (["--help"], ["-h"], ["help"]) else sys.argv[1:]
        out, err, code = _native.operate("python -m patchcore", me, words).wait()
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(out)
    sys.stderr.write(err)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
