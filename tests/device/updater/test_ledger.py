"""What a day's transfers may use: written down before, and not to be had twice."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.device.updater.simulator import NOW

from limpet.device.updater.ledger import (
    DAY_BYTES,
    DAY_TRIES,
    FILE_BYTES,
    FILE_TRIES,
    LEASE_BYTES,
    MAX_FILES,
    Ledger,
    Spent,
    begin_day,
    decide_allowance,
    is_refused,
    lease,
    load_ledger,
    refuse,
    save_ledger,
    settle_lease,
)
from limpet.device.updater.transfer import Account, DaySpent

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_one_file_cannot_use_what_the_next_one_needs() -> None:
    ledger = lease(Ledger(), "images/a", FILE_BYTES, NOW)
    spent = decide_allowance(ledger, "images/a", NOW + HOUR)
    assert isinstance(spent, Spent)
    assert spent.text == (
        "384 MiB of today's 384 MiB for one release are used, again at 2026-11-23 12:00 UTC"
    )
    assert decide_allowance(ledger, "images/b", NOW + HOUR) == DAY_BYTES - FILE_BYTES


def test_a_day_holds_for_all_files_together() -> None:
    ledger = lease(Ledger(), "images/a", FILE_BYTES, NOW)
    ledger = lease(ledger, "images/b", DAY_BYTES - FILE_BYTES, NOW)
    spent = decide_allowance(ledger, "images/c", NOW)
    assert isinstance(spent, Spent)
    assert spent.text.startswith("512 MiB of today's 512 MiB are used, again at 2026-11-23 12:00")


@pytest.mark.parametrize(("files", "each"), [(1, FILE_TRIES), (DAY_TRIES, 1)])
def test_tries_that_bring_nothing_are_counted_for_each_file_and_for_all(
    files: int, each: int
) -> None:
    ledger = Ledger()
    for number in range(files):
        for _ in range(each):
            assert isinstance(decide_allowance(ledger, f"images/{number}", NOW), int)
            ledger = lease(ledger, f"images/{number}", 0, NOW, tries=1)
    spent = decide_allowance(ledger, "images/0", NOW)
    assert isinstance(spent, Spent)
    assert "brought nothing" in spent.text


def test_a_day_is_24_hours_from_the_first_byte() -> None:
    ledger = lease(Ledger(), "images/a", FILE_BYTES, NOW)
    late = lease(ledger, "images/a", 0, NOW + DAY - timedelta(seconds=1))
    assert isinstance(decide_allowance(late, "images/a", NOW + DAY - timedelta(seconds=1)), Spent)
    assert decide_allowance(late, "images/a", NOW + DAY) == FILE_BYTES


def test_a_clock_that_was_wrong_by_years_holds_nothing_for_years() -> None:
    ahead = lease(Ledger(), "images/a", FILE_BYTES, NOW + 7000 * DAY)
    assert decide_allowance(ahead, "images/a", NOW) == FILE_BYTES
    corrected = lease(Ledger(), "images/a", FILE_BYTES, NOW)
    assert isinstance(decide_allowance(corrected, "images/a", NOW - HOUR), Spent)


def test_what_is_given_back_can_be_used_and_no_more() -> None:
    ledger = lease(Ledger(), "images/a", 100, NOW, tries=1)
    ledger = settle_lease(ledger, "images/a", 40, tries=1)
    assert (ledger.bytes, ledger.tries, ledger.use_of("images/a").bytes) == (60, 0, 60)
    ledger = settle_lease(ledger, "images/a", 10**9, tries=5)
    assert (ledger.bytes, ledger.tries) == (0, 0)


def test_a_final_answer_holds_over_days_until_the_metadata_changes() -> None:
    ledger = refuse(Ledger(), "images/a", 404, metadata="3 7")
    ledger = begin_day(lease(ledger, "images/a", 5, NOW), NOW + 30 * DAY)
    assert is_refused(ledger, "images/a", metadata="3 7") == 404
    assert is_refused(ledger, "images/a", metadata="3 8") is None
    assert is_refused(ledger, "images/b", metadata="3 7") is None


def test_files_that_are_remembered_are_bounded() -> None:
    ledger = Ledger()
    for number in range(10 * MAX_FILES):
        ledger = refuse(ledger, f"images/{number}", 404, metadata="1")
    assert len(ledger.files) == MAX_FILES
    assert is_refused(ledger, f"images/{10 * MAX_FILES - 1}", metadata="1") == 404


def test_a_restart_gives_nothing_back(tmp_path: Path) -> None:
    """However often a process dies in the middle: every lease counts."""
    file, lives = tmp_path / "transfers.json", 0
    while isinstance(decide_allowance(load_ledger(file)[0], "images/a", NOW), int):
        Account(file).begin_try("images/a", NOW)
        lives += 1
    assert lives == min(FILE_TRIES, FILE_BYTES // LEASE_BYTES)
    with pytest.raises(DaySpent):
        Account(file).begin_try("images/a", NOW)


def test_a_damaged_record_is_said_and_stops_no_update(tmp_path: Path) -> None:
    file = tmp_path / "transfers.json"
    save_ledger(file, lease(Ledger(), "images/a", 5, NOW))
    assert load_ledger(file)[1] == ""
    file.write_bytes(file.read_bytes()[:-3])
    ledger, warning = load_ledger(file)
    assert ledger == Ledger()
    assert "transfers.json was damaged" in warning
