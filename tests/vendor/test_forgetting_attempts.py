"""Attempts at old releases go, bit by bit; a vote, a number or a bad name is never lost."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.vendor.rollout_bench import BAD, GOOD, Bench
from tests.vendor.workshop import MODEL, NOW, make_release

from limpet.vendor import rollout as rollouts
from limpet.vendor.home import Home
from limpet.vendor.rollout import forget_attempts
from limpet.vendor.rollout.engine import evidence_of
from limpet.vendor.rollout.forgetting import FAILURES_KEPT, KEPT
from limpet.vendor.store import (
    Database,
    Devices,
    ErrorRates,
    Outcomes,
    RolloutRow,
    Rollouts,
    RolloutState,
    Step,
)

MONTH = timedelta(days=30)
DEVICES = tuple(f"TH-{number:02}" for number in range(20))
RATES = ErrorRates(tolerable=0.02, intolerable=0.2, alpha=0.1, beta=0.1, distrust=0)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database.create(tmp_path / "limpet.sqlite")
    with database.transaction() as connection:
        for serial in DEVICES:
            Devices(connection).see(serial, MODEL, now=NOW)
    return database


def roll_out(
    database: Database,
    version: int,
    now: datetime,
    *,
    model: str = MODEL,
    devices: Sequence[str] = DEVICES,
) -> RolloutRow:
    """A rollout that all devices took at once: one failed, and one never said."""
    with database.transaction() as connection:
        row = Rollouts(connection).add(
            model=model,
            version=f"{version}.0.0",
            manifest_sha256=f"{model} {version}",
            state=RolloutState.RUNNING,
            rings=(),
            steps=(Step(1_000_000, 1),),
            step=0,
            silent_seconds=1,
            check_interval_seconds=None,
            started_at=now,
            step_at=now,
            counted_from=now,
            completed_at=now,
            reason="",
            revision=1,
            published=1,
            test=RATES,
            report_ppm=1_000_000,
        )
        outcomes, digest = Outcomes(connection), row.manifest_sha256
        for serial in devices:
            outcomes.begin_attempt(digest, serial, since=now, now=now)
        for serial in devices[1:]:
            good = serial != DEVICES[1]
            outcomes.end_attempt(digest, serial, now=now, succeeded=good, reason="")
    return row


def forget_all(database: Database, now: datetime, **more: int) -> int:
    """How many calls it took."""
    calls = 1
    while forget_attempts(database, now=now, **more):
        calls += 1
    return calls


def attempts(database: Database, row: RolloutRow) -> dict[str, bool | None]:
    with database.reading() as connection:
        found = Outcomes(connection).attempts_at(row.manifest_sha256, since=row.started_at)
    return {attempt.serial: attempt.succeeded for attempt in found}


def count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM attempts").scalar_one())


def test_ten_years_of_releases_take_no_more_room_than_five_years_failures(
    database: Database,
) -> None:
    rows, most = [], 0
    for month in range(120):
        now = NOW + month * MONTH
        rows.append(roll_out(database, month, now, devices=DEVICES[:5]))
        forget_all(database, now)
        most = max(most, count(database))
    living, failures = KEPT // MONTH + 1, FAILURES_KEPT // MONTH
    assert most <= living * 5 + failures
    assert most >= failures
    with database.reading() as connection:
        said = [event.detail for event in Rollouts(connection).history(rows[7])]
        bad = Outcomes(connection).failures_elsewhere(rows[-1].manifest_sha256)
    assert said == ["3 succeeded, 1 failed, 1 had no result"]
    assert bad == {DEVICES[1]: failures}


def test_an_attempt_at_the_release_that_a_plan_is_about_stays_however_old(
    database: Database,
) -> None:
    one = roll_out(database, 1, NOW)
    other = roll_out(database, 1, NOW, model="doorbell")
    old = roll_out(database, 0, NOW - timedelta(days=1), model="third")
    new = roll_out(database, 1, NOW, model="third")
    with database.transaction() as connection:
        Rollouts(connection).change(one, state=RolloutState.PAUSED)
        Rollouts(connection).change(other, state=RolloutState.HALTED)
    forget_all(database, NOW + 50 * 12 * MONTH)
    for row in (one, other, new):
        assert len(attempts(database, row)) == len(DEVICES)
    assert not attempts(database, old)


def test_a_release_that_was_taken_up_again_keeps_its_votes(database: Database) -> None:
    first = roll_out(database, 1, NOW)
    roll_out(database, 2, NOW + MONTH)
    again = roll_out(database, 1, NOW + 2 * MONTH)
    forget_all(database, NOW + 100 * MONTH)
    assert first.manifest_sha256 == again.manifest_sha256
    assert len(attempts(database, again)) == len(DEVICES)


def test_the_votes_of_a_rollout_weigh_the_same_before_and_after(
    bench: Bench, home: Home, tmp_path: Path
) -> None:
    bench.start()
    bad, good = bench.admitted(2)
    bench.report(bad, *BAD)
    bench.clock.pass_seconds(1)
    rollouts.resume(bench.rollout)
    bench.report(good, *GOOD)
    bench.tick(10)
    assert bench.tick(10).complete
    newer = bench.rollout.repository.add_release(make_release(home, tmp_path, "1.2.0"))
    bench.clock.pass_seconds(2 * KEPT.total_seconds())
    bench.start(version="1.2.0")
    bench.digest, former = newer.manifest_sha256, bench.digest
    for device in bench.admitted(1):
        bench.report(device, *BAD)
    before = rollouts.status(bench.rollout)
    assert forget_attempts(bench.rollout.database, now=bench.clock())
    assert not forget_attempts(bench.rollout.database, now=bench.clock())
    assert rollouts.status(bench.rollout) == before
    with bench.rollout.database.reading() as connection:
        outcomes = Outcomes(connection)
        assert outcomes.find_attempt(former, good) is None
        assert outcomes.find_attempt(former, bad) is not None


def test_a_release_that_is_taken_up_while_it_would_be_forgotten_is_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = roll_out(database, 1, NOW)
    roll_out(database, 2, NOW + MONTH)
    later, real = NOW + 10 * MONTH, Outcomes.count_attempts

    def meanwhile(outcomes: Outcomes, digest: str) -> dict[bool | None, int]:
        with database.transaction() as connection:
            row = Rollouts(connection).latest(MODEL)
            assert row is not None
            values = {name: getattr(old, name) for name in old.__slots__ if name != "id"}
            Rollouts(connection).add(**values)
        return real(outcomes, digest)

    monkeypatch.setattr(Outcomes, "count_attempts", meanwhile)
    forget_attempts(database, now=later)
    assert len(attempts(database, old)) == len(DEVICES)


def test_one_call_forgets_a_bounded_number_and_counts_before_the_first(
    database: Database,
) -> None:
    old = roll_out(database, 1, NOW)
    roll_out(database, 2, NOW + MONTH)
    now = NOW + MONTH + KEPT
    assert forget_attempts(database, now=now, batch=4)
    assert len(attempts(database, old)) == len(DEVICES) - 4
    assert forget_all(database, now, batch=4) == 5
    with database.reading() as connection:
        [event] = Rollouts(connection).history(old)
    assert event.detail.startswith("18 succeeded")


DYING = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from limpet.vendor.rollout import forget_attempts
from limpet.vendor.store import Database, Outcomes

file, now, last = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), int(sys.argv[3])
calls, real = [], Outcomes.forget_attempts

def fatal(*args, **more):
    calls.append(real(*args, **more))
    if len(calls) == last:
        os.kill(os.getpid(), signal.SIGKILL)

Outcomes.forget_attempts = fatal
while forget_attempts(Database(file), now=now, batch=4):
    pass
"""
"""Dies within its n-th batch, all others of which are done."""


def test_a_service_that_is_killed_within_a_batch_goes_on_where_it_was(
    database: Database, tmp_path: Path
) -> None:
    old, file = roll_out(database, 1, NOW), tmp_path / "limpet.sqlite"
    new, now = roll_out(database, 2, NOW + MONTH), NOW + MONTH + KEPT
    for last, left in ((1, 20), (3, 12), (2, 8)):
        words = [sys.executable, "-c", DYING, str(file), now.isoformat(), str(last)]
        assert subprocess.run(words, timeout=300, check=False).returncode == -signal.SIGKILL
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert len(attempts(database, old)) == left
        assert len(attempts(database, new)) == len(DEVICES)
    forget_all(database, now)
    assert attempts(database, old) == {DEVICES[1]: False}
    with database.reading() as connection:
        [event] = Rollouts(connection).history(old)
        assert evidence_of(connection, new, now).succeeded == len(DEVICES) - 2
    assert event.detail == "18 succeeded, 1 failed, 1 had no result"


def test_a_late_word_on_an_old_release_goes_in_its_time_too(database: Database) -> None:
    old = roll_out(database, 1, NOW)
    roll_out(database, 2, NOW + MONTH)
    late = NOW + 12 * MONTH
    forget_all(database, late)
    with database.transaction() as connection:
        Outcomes(connection).end_attempt(
            old.manifest_sha256, DEVICES[5], now=late, succeeded=True, reason=""
        )
    forget_all(database, late)
    assert DEVICES[5] in attempts(database, old)
    forget_all(database, late + KEPT + timedelta(seconds=1))
    assert attempts(database, old) == {DEVICES[1]: False}
