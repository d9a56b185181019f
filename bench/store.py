"""`./run bench store`: how long a report waits while votes are weighed, and what years add.

A vendor's real database on disk, filled by SQL with a fleet, in the middle of a rollout.
Reports come from one thread, the clock's ticks from another, as in the service.
"""

import argparse
import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from tests.vendor.rollout_bench import Bench, make_bench
from tests.vendor.workshop import MODEL, NOW, make_home

from bench.years import measure_years, shown
from limpet.vendor import rollout as rollouts
from limpet.wire.report import ReportKind

__all__ = ["main"]

TICKS = 5
REST_SECONDS = 1.0  # the service rests longer: nine times what a tick took
STEP = {"wait_seconds": 10_000_000, "silent_seconds": 3600}


def main(words: Sequence[str] = ()) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="./run bench store", description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(list(words))
    with tempfile.TemporaryDirectory(prefix="limpet-bench-") as place:
        found = measure_waits(Path(place), options.devices)
        tables, timed = measure_years(Path(place), options.devices)
    found |= timed
    if options.json:
        grown = [asdict(table) for table in tables]
        print(json.dumps({"figures": found, "tables": grown}, indent=2))
        return 0
    for name, value in found.items():
        print(f"{name:<44} {value:>12,.1f}")
    print(f"\n{shown(tables, options.devices)}")
    return 0


def measure_waits(place: Path, devices: int) -> dict[str, float]:
    """Milliseconds that a report took, alone and while ticks weigh the votes of all devices."""
    bench = make_bench(make_home(place), place)
    rollouts.start(bench.rollout, "1.1.0", shares_ppm=[1_000_000], **STEP)
    fill_attempts(bench.rollout.home.database, bench.digest, devices)
    begun = time.monotonic()
    rollouts.tick(bench.rollout)
    tick = time.monotonic() - begun
    alone = _reports_during(bench, lambda: time.sleep(TICKS * tick))

    def ticks() -> None:
        for _ in range(TICKS):
            rollouts.tick(bench.rollout)
            time.sleep(REST_SECONDS)

    beside = _reports_during(bench, ticks)
    return {
        "devices": float(devices),
        "tick, ms": tick * 1000,
        "report alone, median, ms": _median(alone),
        "report alone, longest, ms": max(alone),
        "report beside ticks, median, ms": _median(beside),
        "report beside ticks, longest, ms": max(beside),
        "reports beside ticks, per s": len(beside) / sum(beside) * 1000,
    }


def fill_attempts(file: Path, digest: str, devices: int) -> None:
    """A fleet of `devices`, each of which has installed the release."""
    at = int(NOW.timestamp()) * 1_000_000
    serials = [f"TH-{number:08X}" for number in range(devices)]
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "INSERT INTO devices (serial, model, first_seen, last_seen) VALUES (?, ?, ?, ?)",
            ((serial, MODEL, at, at) for serial in serials),
        )
        connection.executemany(
            "INSERT INTO attempts (manifest_sha256, serial, started_at, ended_at, succeeded,"
            " reason) VALUES (?, ?, ?, ?, 1, '')",
            ((digest, serial, at + 1, at + 2) for serial in serials),
        )


def _reports_during(bench: Bench, work: Callable[[], None]) -> list[float]:
    """Milliseconds of each report that was taken, one after another, until `work` was done."""
    thread, took = threading.Thread(target=work), []
    thread.start()
    while thread.is_alive():
        begun = time.monotonic()
        bench.report("TH-00000001", ReportKind.RUNNING)
        took.append((time.monotonic() - begun) * 1000)
        time.sleep(0.005)
    return took


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]
