"""Reports are bounded in rate and number, and a device's last word is what the fleet shows."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vendor.workshop import MODEL, NOW, make_report

from limpet.errors import Misuse, Rejected, Unavailable
from limpet.vendor.enrollment import DeviceIdentity, IdentityKind
from limpet.vendor.fleet import Intake, Rate, RateLimiter, view_fleet
from limpet.vendor.home import Home
from limpet.vendor.store import Database, Outcomes
from limpet.vendor.store.outcomes import REPORTS_PER_DEVICE
from limpet.wire.codec import decode_json
from limpet.wire.report import REPORT_BYTES, Report, ReportKind


def client(serial: str = "TH-0001") -> DeviceIdentity:
    return DeviceIdentity(
        serial=serial, model=MODEL, kind=IdentityKind.OPERATIONAL, spki_sha256="0" * 64
    )


@pytest.fixture
def intake(home: Home) -> Intake:
    return Intake(database=Database.open(home.database), models=(MODEL,))


def test_the_fleet_shows_each_devices_last_report(intake: Intake) -> None:
    for sequence, kind in enumerate((ReportKind.RUNNING, ReportKind.HELD)):
        body = make_report(kind, sequence=sequence, reason="phase-in", running="1.0.7")
        assert intake.take(client(), body, now=NOW)
    intake.take(client("TH-0002"), make_report(ReportKind.REFUSED, reason="rollback"), now=NOW)
    one, two = view_fleet(intake.database)
    assert (one.serial, one.state, one.running) == ("TH-0001", "held", "1.0.7")
    assert (two.serial, two.state, two.reason) == ("TH-0002", "refused", "rollback")


def test_a_report_that_is_sent_twice_is_stored_once(intake: Intake) -> None:
    body = make_report(ReportKind.RUNNING)
    assert intake.take(client(), body, now=NOW)
    assert not intake.take(client(), body, now=NOW)
    with intake.database.transaction() as connection:
        assert Outcomes(connection).count_reports() == 1


def test_a_device_that_lost_its_counter_is_still_heard(intake: Intake) -> None:
    from datetime import timedelta

    intake.take(client(), make_report(ReportKind.RUNNING, sequence=900), now=NOW)
    later = make_report(ReportKind.HELD, sequence=1, at=NOW + timedelta(days=1))
    assert intake.take(client(), later, now=NOW)
    assert view_fleet(intake.database)[0].state == "held"


def test_only_so_many_reports_of_one_device_are_kept_and_the_newest_are(intake: Intake) -> None:
    for serial in ("TH-0001", "TH-0002"):
        intake.take(client(serial), make_report(ReportKind.HELD, sequence=0), now=NOW)
    with intake.database.transaction() as connection:
        outcomes = Outcomes(connection)
        for sequence in range(1, REPORTS_PER_DEVICE + 20):
            body = make_report(ReportKind.HELD, sequence=sequence)
            report = decode_json(body, Report, max_bytes=REPORT_BYTES)
            outcomes.add_report("TH-0001", report, now=NOW)
        kept = [row["sequence"] for row in outcomes.reports_of("TH-0001")]
        assert len(outcomes.reports_of("TH-0002")) == 1
    assert kept == list(range(20, REPORTS_PER_DEVICE + 20))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"sequence": 1', b'"sequence": 9223372036854775808'),
        (b'"sequence": 1', b'"sequence": 99999999999999999999999'),
        (b'"sequence": 1', b'"sequence": -1'),
        (b'"sequence": 1', b'"sequence": 1e3'),
        (b'"detail": ""', b'"detail": "\\ud800"'),
        (b'"detail": ""', b'"detail": "\xff"'),
        (b'"detail": ""', b'"detail": "' + b"x" * 401 + b'"'),
        (b'"kind": "running"', b'"kind": "bricked"'),
        (b'"slot": "a"', b'"slot": "c"'),
    ],
)
def test_a_hostile_report_is_refused_and_stores_nothing(
    intake: Intake, old: bytes, new: bytes
) -> None:
    body = make_report(ReportKind.RUNNING)
    assert old in body
    with pytest.raises(Rejected) as caught:
        intake.take(client(), body.replace(old, new), now=NOW)
    assert caught.value.reason == "malformed"
    assert view_fleet(intake.database) == ()


def test_odd_characters_in_a_report_are_kept_as_they_are(intake: Intake) -> None:
    text = "\x00\x1b[31m'; DROP TABLE devices; --"
    assert intake.take(client(), make_report(ReportKind.HELD, detail=text), now=NOW)
    assert view_fleet(intake.database)[0].detail == text


def test_many_devices_at_once_lose_no_report(intake: Intake) -> None:
    failures: list[BaseException] = []

    def report(number: int) -> None:
        try:
            for sequence in range(10):
                body = make_report(ReportKind.HELD, sequence=sequence)
                intake.take(client(f"TH-{number:04}"), body, now=NOW)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=report, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    with intake.database.transaction() as connection:
        assert Outcomes(connection).count_reports() == 60


def test_a_full_disk_is_said_plainly_and_loses_nothing(intake: Intake) -> None:
    intake.take(client(), make_report(ReportKind.RUNNING, sequence=0), now=NOW)

    def fill() -> None:
        with intake.database.transaction() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.exec_driver_sql("CREATE TABLE filler (content)")
            connection.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(1000000))")

    with pytest.raises(Unavailable, match="full"):
        fill()
    assert intake.take(client(), make_report(ReportKind.RUNNING, sequence=1), now=NOW)


def test_a_bucket_allows_a_burst_and_then_its_pace() -> None:
    limiter = RateLimiter(Rate(burst=3, per_second=0.5, devices=10))
    assert [limiter.take("a", now=0.0) for _ in range(3)] == [0.0] * 3
    assert limiter.take("a", now=0.0) == 2.0
    assert limiter.take("b", now=0.0) == 0.0
    assert limiter.take("a", now=2.0) == 0.0
    assert limiter.take("a", now=2.0) > 0


@given(st.lists(st.floats(0, 3), min_size=1, max_size=300))
def test_no_pattern_of_calls_gets_more_than_burst_and_pace(gaps: list[float]) -> None:
    limiter, now, allowed = RateLimiter(Rate(burst=5, per_second=1.0, devices=2)), 0.0, 0
    for gap in gaps:
        now += gap
        allowed += limiter.take("a", now=now) == 0.0
    assert allowed <= 5 + now + 1e-6


def test_only_so_many_devices_are_remembered() -> None:
    limiter = RateLimiter(Rate(burst=1, per_second=0.001, devices=3))
    for name in "abcd":
        limiter.take(name, now=0.0)
    assert limiter.take("d", now=0.0) > 0
    assert len(limiter._buckets) == 3


@pytest.mark.parametrize("values", [(0, 1.0, 1), (1, 0.0, 1), (1, 1.0, 0)])
def test_a_rate_that_allows_nothing_is_refused(values: tuple[int, float, int]) -> None:
    burst, pace, devices = values
    with pytest.raises(Misuse):
        Rate(burst=burst, per_second=pace, devices=devices)


def test_work_beyond_the_queue_is_refused_at_once(tmp_path: Path) -> None:
    import asyncio

    from limpet.vendor.front.work import QUEUE, Worker

    async def flood() -> tuple[int, int]:
        worker, gate = Worker(), threading.Event()
        jobs = [asyncio.create_task(worker.run(gate.wait)) for _ in range(QUEUE + 10)]
        await asyncio.sleep(0.05)
        refused = sum(job.done() for job in jobs)
        gate.set()
        results = await asyncio.gather(*jobs, return_exceptions=True)
        worker.close()
        return refused, sum(isinstance(result, Unavailable) for result in results)

    assert asyncio.run(flood()) == (10, 10)
