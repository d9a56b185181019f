"""Tries the few tests that failed in a run of all once more, alone.

Owns the bounds of that second look (docs/adr/0195): at most three tests, one try, nothing beside
them. Reads which they are from what pytest remembers of its last run. Ends as the second look
did; with 1 where there is none.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
MOST = 3


def main() -> int:
    """Look again, and say of each test what the first look said."""
    failed = sorted(json.loads(FAILED.read_text())) if FAILED.exists() else []
    if not 0 < len(failed) <= MOST:
        print(f"again: {len(failed)} failed: no second look (at most {MOST})", file=sys.stderr)
        return 1
    print("again: a second look, alone, at what failed", file=sys.stderr, flush=True)
    command = [
        str(ROOT / "run"),
        "test",
        "-m",
        "",
        "--last-failed",
        "--last-failed-no-failures=none",
    ]
    alone = os.environ | {"LIMPET_TEST_WORKERS": "0"}
    status = subprocess.run(command, cwd=ROOT, env=alone).returncode
    for test in failed if status == 0 else ():
        print(f"again: UNSTEADY: passed alone, failed above: {test}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
