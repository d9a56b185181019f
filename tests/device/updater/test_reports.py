"""The queue of reports: in order, bounded, never blocked, never repeated."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from limpet.device.updater import reports
from limpet.device.updater.reports import ReportQueue
from limpet.errors import Unavailable
from limpet.wire.report import ReportKind

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday


def queue(tmp_path: Path) -> ReportQueue:
    return ReportQueue(tmp_path / "reports", model="thermostat")


def add(to: ReportQueue, detail: str = "") -> None:
    to.add(ReportKind.RUNNING, running="1.0.0", slot="a", at=NOW, detail=detail)


def test_reports_go_in_order_and_stay_until_they_are_taken(tmp_path: Path) -> None:
    for number in range(3):
        add(queue(tmp_path), str(number))
    taken: list[bytes] = []

    def second_fails(data: bytes) -> int:
        taken.append(data)
        return 204 if len(taken) == 1 else 503

    assert queue(tmp_path).send(second_fails) == 1
    assert [report.detail for report in queue(tmp_path).waiting()] == ["1", "2"]

    def gone(data: bytes) -> int:
        raise Unavailable("nobody answers")

    with pytest.raises(Unavailable):
        queue(tmp_path).send(gone)
    assert queue(tmp_path).send(lambda data: 204) == 2


def test_a_report_that_the_vendor_can_never_take_does_not_block_the_rest(tmp_path: Path) -> None:
    add(queue(tmp_path))
    add(queue(tmp_path))
    assert queue(tmp_path).send(lambda data: 400) == 2


def test_the_queue_is_bounded_and_keeps_the_newest(tmp_path: Path) -> None:
    waiting = queue(tmp_path)
    for number in range(reports.MAX_WAITING + 10):
        add(waiting, str(number))
    details = [report.detail for report in waiting.waiting()]
    assert len(details) == reports.MAX_WAITING
    assert details[-1] == str(reports.MAX_WAITING + 9)


def test_sequence_numbers_never_repeat_even_after_all_was_sent(tmp_path: Path) -> None:
    seen: list[int] = []
    for _ in range(3):
        add(queue(tmp_path))
        seen += [report.sequence for report in queue(tmp_path).waiting()]
        queue(tmp_path).send(lambda data: 204)
    assert seen == [1, 2, 3]


def test_a_damaged_report_is_dropped_alone(tmp_path: Path) -> None:
    add(queue(tmp_path), "first")
    add(queue(tmp_path), "second")
    (tmp_path / "reports" / "000000000001.json").write_bytes(b"\x00")
    assert [report.detail for report in queue(tmp_path).waiting()] == ["second"]


def test_a_long_hostile_detail_fits_into_a_report(tmp_path: Path) -> None:
    add(queue(tmp_path), "\u0001" * 5000)
    assert queue(tmp_path).waiting()
