"""`./run bench metadata`: what a check costs, and what grows with releases, models, years."""

import argparse
import json
from collections.abc import Sequence

from bench.growth import measure_growth, shown
from bench.measure import table
from bench.wire import measure_checks

__all__ = ["main"]


def main(words: Sequence[str] = ()) -> int:
    """Print the figures; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="./run bench metadata", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(list(words))
    checks, grown = measure_checks(), measure_growth()
    if options.json:
        parts = {"check": [one.as_json() for one in checks], "grown": [g.as_json() for g in grown]}
        print(json.dumps(parts, indent=2))
    else:
        print(f"{table(checks)}\n\n{shown(grown)}")
    return int(any(one.met is False for one in checks))
