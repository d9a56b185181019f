"""`./run cuts`: a device's life is recorded, and devices are started from what cuts leave of it.

Owns the command line. Exit status 1 if anything was wrong in any state.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from tests.cuts.inquiry import inquire
from tests.cuts.recording import make_recording, read_recording
from tests.cuts.scratch import exit_on_sigterm, scratch

__all__ = ["main"]


def main() -> int:
    """0 if every state was one to start from."""
    parser = argparse.ArgumentParser(
        prog="run cuts", description="Start devices from what power cuts leave of a recorded life."
    )
    parser.add_argument("--states", type=int, default=4000, help="distinct states (%(default)s)")
    parser.add_argument(
        "--finish", type=int, default=200, help="of them, go on to the end of the update (200)"
    )
    parser.add_argument("--start", type=int, default=8, help="start real processes from (8)")
    parser.add_argument("--seed", type=int, default=0, help="which states (0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="keep the recording in this directory, or use it")
    parser.add_argument("--json", action="store_true", help="print JSON")
    asked = parser.parse_args()
    if shutil.which("strace") is None:
        print("run cuts: error: needs the Debian package strace", file=sys.stderr)
        return 3
    exit_on_sigterm()
    with scratch() as temporary:
        work = (asked.keep or temporary / "life").absolute()
        print("recording a life …", file=sys.stderr, flush=True)
        recorded = read_recording(work) if work.exists() else make_recording(work)
        print("starting devices from its states …", file=sys.stderr, flush=True)
        found = inquire(
            recorded,
            states=asked.states,
            finished=asked.finish,
            started=asked.start,
            seed=asked.seed,
            workers=asked.workers,
        )
    print(found.as_json() if asked.json else found.as_table())
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
