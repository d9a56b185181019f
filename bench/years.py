"""What years of a large fleet add to the vendor's database, table by table.

Rows as the service writes them, put there by SQL; bytes are whole pages as SQLite counts them
(dbstat), with the indexes of each table.
"""

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.vendor.test_forgetting_attempts import roll_out
from tests.vendor.workshop import MODEL, NOW

from limpet.vendor.rollout import forget_attempts
from limpet.vendor.store import Database
from limpet.vendor.store.outcomes import REPORTS_PER_DEVICE

__all__ = ["Table", "measure_years", "shown"]

RELEASES = 12  # a year
RENEWALS = 18  # a year, for each of two purposes: 30 days' life, renewed at two thirds
RUNNING = 365  # a year: "nothing to install", once a day
WORDS = 3  # reports on each release
DAY = 86_400_000_000  # in the database's microseconds


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what a row takes, and rows of a device that a year adds and that are kept."""

    name: str
    rows: int  # as measured
    bytes: int
    a_year: float
    kept: float

    @property
    def row_bytes(self) -> float:
        """With its share of the indexes."""
        return self.bytes / max(self.rows, 1)


def measure_years(place: Path, devices: int) -> tuple[list[Table], dict[str, float]]:
    """The tables after a year, and milliseconds of what works on all of it."""
    file = place / "years.sqlite"
    database = Database.create(file)
    digests = [f"{number:064x}" for number in range(RELEASES)]
    for number in range(RELEASES + 1):
        roll_out(database, number, NOW + timedelta(days=30 * number), devices=())
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000"
        )
        for number, digest in enumerate(digests):
            connection.execute(
                "UPDATE rollouts SET manifest_sha256 = ? WHERE id = ?", (digest, number + 1)
            )
        _fill(connection, devices, digests)
        connection.commit()
        tables = list(_tables(connection))
    return tables, _timed(database)


def _fill(connection: sqlite3.Connection, devices: int, digests: Sequence[str]) -> None:
    at = int(NOW.timestamp()) * 1_000_000
    serials = [f"TH-{number:08X}" for number in range(devices)]
    connection.executemany(
        "INSERT INTO devices (serial, model, first_seen, last_seen) VALUES (?, ?, ?, ?)",
        ((serial, MODEL, at, at) for serial in serials),
    )
    for number, digest in enumerate(digests):
        when = at + number * 30 * DAY
        connection.executemany(
            "INSERT INTO attempts VALUES (?, ?, ?, ?, ?, '')",
            ((digest, one, when, when, n % 200 != 0) for n, one in enumerate(serials)),
        )
    for number in range(RENEWALS):
        when = at + number * 20 * DAY
        for purpose in ("client", "server"):
            connection.executemany(
                "INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (
                        _hash(f"{one}{purpose}{number}"),
                        one,
                        purpose,
                        _hash(one + purpose),
                        when,
                        when + 30 * DAY,
                    )
                    for one in serials
                ),
            )
    for number in range(REPORTS_PER_DEVICE):
        when = at + number * DAY
        connection.executemany(
            "INSERT INTO reports (serial, received_at, sequence, at, kind, running, slot, version,"
            " manifest_sha256, reason, detail) VALUES (?, ?, ?, ?, ?, '1.0.7', 'a', ?, ?, '', ?)",
            (
                (one, when, number, when, "running", None, None, "runs 1.0.7")
                if number % 8 == 0
                else (one, when, number, when, "confirmed", "1.0.8", digests[0], "runs 1.0.8")
                for one in serials
            ),
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _tables(connection: sqlite3.Connection) -> Iterator[Table]:
    owner = dict(connection.execute("SELECT name, tbl_name FROM sqlite_master").fetchall())
    sizes: dict[str, int] = {}
    for name, size in connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name"):
        sizes[owner.get(name, name)] = sizes.get(owner.get(name, name), 0) + size
    for name, (a_year, kept) in GROWTH.items():
        counted = connection.execute(f"SELECT count(*) FROM {name}")  # noqa: S608 - names above
        [(rows,)] = counted.fetchall()
        yield Table(name, rows, sizes[name], a_year, kept)


def _timed(database: Database) -> dict[str, float]:
    """A command's start, and the forgetting of all releases but those of three months."""
    begun = time.monotonic()
    Database.open(Path(str(database._file))).close()
    opened, calls = time.monotonic() - begun, []
    now, more = NOW + timedelta(days=30 * RELEASES), True
    while more:
        begun = time.monotonic()
        more = forget_attempts(database, now=now)
        calls.append(time.monotonic() - begun)
    return {
        "open and check the file, ms": opened * 1000,
        "calls until all old attempts are forgotten": float(len(calls)),
        "a call, median, ms": sorted(calls)[len(calls) // 2] * 1000,
        "a call, longest, ms": max(calls) * 1000,
        "all calls, ms": sum(calls) * 1000,
    }


GROWTH: Mapping[str, tuple[float, float]] = {
    "devices": (0, 1),
    "certificates": (2 * RENEWALS, 2 * 5),
    "reports": (RUNNING + WORDS * RELEASES, REPORTS_PER_DEVICE),
    "attempts": (RELEASES, 4 + 5 * RELEASES / 200),
}
"""By table: rows that a year adds for a device, and rows of it that are kept at most, where one
release a month fails on one device of two hundred."""


def shown(tables: Sequence[Table], devices: int) -> str:
    """For a person."""
    lines = [
        f"{'table':<14}{'rows':>12}{'MB':>9}{'B/row':>7}{'rows/dev/y':>11}{'kB/dev/y':>10}"
        f"{'kept/dev':>9}{'GB of 10 y':>11}{'GB kept':>8}"
    ]
    for one in tables:
        size, giga = one.row_bytes, devices / 1e9
        lines.append(
            f"{one.name:<14}{one.rows:>12,}{one.bytes / 1e6:>9,.0f}{size:>7.0f}{one.a_year:>11.0f}"
            f"{one.a_year * size / 1e3:>10.1f}{one.kept:>9.1f}"
            f"{max(one.a_year * 10, one.kept) * size * giga:>11.1f}{one.kept * size * giga:>8.2f}"
        )
    return "\n".join(lines)
