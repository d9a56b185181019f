"""Ten years of certificates and reports of a device take no more room than the first ones."""

import hashlib
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.vendor.workshop import MODEL, NOW, make_report

from limpet.vendor.fleet import view_fleet
from limpet.vendor.fleet.view import is_doubled
from limpet.vendor.store import Certificate, Database, Devices, Outcomes
from limpet.vendor.store._folding import ENDED_KEPT, KEYS_KEPT, choose_folded
from limpet.vendor.store.outcomes import REPORTS_PER_DEVICE, RUNNING_PER_DEVICE
from limpet.wire.codec import decode_json
from limpet.wire.report import REPORT_BYTES, Report, ReportKind

LIFE, RENEWED = timedelta(days=30), timedelta(days=20)
TEN_YEARS = 183  # renewals


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database.create(tmp_path / "limpet.sqlite")


def certificate(
    number: int, key: str, *, purpose: str = "client", serial: str = "TH-1"
) -> Certificate:
    at = NOW + number * RENEWED
    return Certificate(
        sha256=hashlib.sha256(f"{serial} {purpose} {number} {key}".encode()).hexdigest(),
        serial=serial,
        purpose=purpose,
        spki_sha256=hashlib.sha256(key.encode()).hexdigest(),
        issued_at=at,
        not_after=at + LIFE,
    )


def issue(database: Database, *certificates: Certificate) -> None:
    with database.transaction() as connection:
        for one in certificates:
            Devices(connection).see(one.serial, MODEL, now=one.issued_at)
            Devices(connection).add_certificate(one)


def test_ten_years_of_renewals_keep_what_lives_and_the_number_of_all(database: Database) -> None:
    for purpose in ("client", "server"):
        issue(database, *(certificate(n, "a", purpose=purpose) for n in range(TEN_YEARS)))
    now = NOW + (TEN_YEARS - 1) * RENEWED
    with database.reading() as connection:
        kept = Devices(connection).certificates_of("TH-1")
    assert len(kept) <= 2 * 5
    living = {certificate(n, "a").sha256 for n in range(TEN_YEARS)} & {
        one.sha256 for one in kept if one.not_after > now
    }
    assert certificate(TEN_YEARS - 1, "a").sha256 in living
    assert certificate(TEN_YEARS - 2, "a").sha256 in living
    [device] = view_fleet(database)
    assert (device.certificates, device.doubled) == (2 * TEN_YEARS, False)


def test_a_key_of_ten_years_ago_still_belongs_to_its_device(database: Database) -> None:
    issue(database, certificate(0, "old"), *(certificate(n, "new") for n in range(1, TEN_YEARS)))
    with database.reading() as connection:
        assert Devices(connection).holder_of_key(certificate(0, "old").spki_sha256) == "TH-1"
        shown = certificate(TEN_YEARS - 1, "new").sha256
        assert Devices(connection).holder_of_certificate(shown) == "TH-1"


def test_what_ended_within_a_month_is_there_for_whoever_looks_into_a_theft() -> None:
    [*old, last] = [certificate(n, "a") for n in range(9)]
    end = old[4].not_after
    assert old[4].sha256 not in choose_folded([*old, last], now=end + ENDED_KEPT)
    later = end + ENDED_KEPT + timedelta(seconds=1)
    assert old[4].sha256 in choose_folded([*old, last], now=later)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=40))
def test_whether_a_key_came_back_is_never_forgotten(keys: list[str]) -> None:
    kept: list[Certificate] = []
    for number, key in enumerate(keys):
        kept.append(certificate(number, key))
        gone = set(choose_folded(kept, now=kept[-1].issued_at))
        kept = [one for one in kept if one.sha256 not in gone]
    assert is_doubled([one.spki_sha256 for one in kept]) == is_doubled(keys)
    assert {one.spki_sha256 for one in kept} == {certificate(0, key).spki_sha256 for key in keys}
    assert len(kept) <= 2 * 4 + 4


def test_a_device_that_asks_for_a_new_key_each_time_fills_nothing() -> None:
    many = [certificate(number, str(number)) for number in range(3 * KEYS_KEPT)]
    gone = choose_folded(many, now=many[-1].issued_at)
    assert len(many) - len(gone) == KEYS_KEPT
    assert set(gone) == {one.sha256 for one in many[: 2 * KEYS_KEPT]}


def test_one_devices_years_fold_no_other_devices_certificate(database: Database) -> None:
    other = [certificate(n, "b", serial="TH-2") for n in range(3)]
    issue(database, *other, *(certificate(n, "a") for n in range(TEN_YEARS)))
    with database.reading() as connection:
        assert Devices(connection).certificates_of("TH-2") == other


def report(kind: ReportKind, sequence: int) -> Report:
    body = make_report(kind, sequence=sequence, at=NOW + timedelta(days=sequence))
    return decode_json(body, Report, max_bytes=REPORT_BYTES)


def test_ten_years_of_days_without_an_update_push_out_no_word_on_updates(
    database: Database,
) -> None:
    with database.transaction() as connection:
        Devices(connection).see("TH-1", MODEL, now=NOW)
        outcomes = Outcomes(connection)
        for number in range(20):
            outcomes.add_report("TH-1", report(ReportKind.CONFIRMED, number), now=NOW)
        for number in range(20, 3650):
            assert outcomes.add_report("TH-1", report(ReportKind.RUNNING, number), now=NOW)
        assert not outcomes.add_report("TH-1", report(ReportKind.RUNNING, 3649), now=NOW)
        kept = [(row["kind"], row["sequence"]) for row in outcomes.reports_of("TH-1")]
    days = range(3650 - RUNNING_PER_DEVICE, 3650)
    assert kept == [("confirmed", n) for n in range(20)] + [("running", n) for n in days]
    assert len(kept) <= REPORTS_PER_DEVICE


def test_a_database_of_before_folds_what_it_has_with_each_devices_next_certificate(
    database: Database, tmp_path: Path
) -> None:
    issue(database, *(certificate(n, "a") for n in range(4)))
    database.close()
    file = tmp_path / "limpet.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as old:
        old.execute("ALTER TABLE devices DROP COLUMN certificates_folded")
        old.execute("PRAGMA user_version = 4")
        (values,) = old.execute("SELECT * FROM certificates LIMIT 1").fetchall()
        for number in range(100):
            row = (f"{number:064d}", *values[1:])
            old.execute("INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?)", row)
    database = Database.open(file)
    assert view_fleet(database)[0].certificates == 104
    issue(database, certificate(90, "a"))
    with database.reading() as connection:
        assert len(Devices(connection).certificates_of("TH-1")) == 2
    assert view_fleet(database)[0].certificates == 105
