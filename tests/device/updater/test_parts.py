"""The updater's pure parts: schedule, window, trial, records, reports."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.device.link import messages as m
from limpet.device.updater import reports
from limpet.device.updater.certificate import (
    OwnCertificate,
    decide_renewal,
    load_certificate,
    load_key,
)
from limpet.device.updater.enrollment import Errand
from limpet.device.updater.floor import (
    MAX_WITHDRAWN,
    Floor,
    SeenRole,
    load_floor,
    raise_floor,
    save_floor,
)
from limpet.device.updater.policy import describe_window, is_in_window, verify_policy
from limpet.device.updater.progress import Attempt, Progress, begin_attempt, settle
from limpet.device.updater.reports import ReportQueue
from limpet.device.updater.schedule import (
    MAX_BACKOFF_SECONDS,
    Interval,
    choose_interval,
    decide_wait,
)
from limpet.device.updater.source import make_client, parse_retry_after
from limpet.device.updater.trial import Trial
from limpet.errors import Rejected, Unavailable
from limpet.wire.report import ReportKind

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday
PRODUCT = (21600, 14400, 28800)
chances = st.floats(0, 1, exclude_max=True)


# --- schedule


@given(chances, st.integers(1, 7 * 86400))
def test_waits_spread_over_at_least_half_of_the_interval(chance: float, owner: int) -> None:
    for planned, chosen in ((None, owner), (None, None), (owner, None)):
        interval = choose_interval(owner_seconds=chosen, planned_seconds=planned, product=PRODUCT)
        middle = (interval.shortest + interval.longest) / 2
        assert interval.longest - interval.shortest >= middle / 2
        wait = decide_wait(interval, failures=0, retry_after=None, random=lambda: chance)
        assert interval.shortest <= wait <= interval.longest


@pytest.mark.parametrize(("planned", "middle"), [(1, 14400), (7 * 86400, 28800), (20000, 20000)])
def test_a_plan_moves_the_interval_only_within_the_products_bounds(
    planned: int, middle: int
) -> None:
    interval = choose_interval(owner_seconds=None, planned_seconds=planned, product=PRODUCT)
    assert (interval.shortest + interval.longest) / 2 == middle


@given(chances, st.integers(1, 1000))
def test_failures_back_off_and_stay_bounded(chance: float, failures: int) -> None:
    interval = Interval(100, 300)
    wait = decide_wait(interval, failures=failures, retry_after=None, random=lambda: chance)
    assert 25 <= wait <= MAX_BACKOFF_SECONDS
    more = decide_wait(interval, failures=failures + 1, retry_after=None, random=lambda: chance)
    assert more >= wait


@given(chances, st.floats(0, 1e9), st.integers(0, 50))
def test_retry_after_is_obeyed_and_cannot_silence_a_device_for_ever(
    chance: float, asked: float, failures: int
) -> None:
    wait = decide_wait(Interval(1, 3), failures=failures, retry_after=asked, random=lambda: chance)
    assert wait >= min(asked, MAX_BACKOFF_SECONDS)
    assert wait <= MAX_BACKOFF_SECONDS * 1.25


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("Sun, 22 Nov 2026 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("9" * 30, None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    assert parse_retry_after(text, date="Sun, 22 Nov 2026 12:00:00 GMT") == seconds


# --- window


def window(start: str, end: str, **changes: Any) -> m.Window:
    minute = [int(t[:2]) * 60 + int(t[3:]) for t in (start, end)]
    return m.Window(start_minute=minute[0], end_minute=minute[1], **changes)


def at(clock: str, day: int = 22) -> datetime:
    return datetime(2026, 11, day, int(clock[:2]), int(clock[3:]), tzinfo=UTC)


def test_a_window_opens_at_its_start_and_closes_at_its_end() -> None:
    night = window("02:00", "05:00")
    assert [is_in_window(night, at(t)) for t in ("01:59", "02:00", "04:59", "05:00")] == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens() -> None:
    sunday_night = window("22:00", "04:00", days=(6,))
    assert is_in_window(sunday_night, at("23:00", 22))
    assert is_in_window(sunday_night, at("03:59", 23)), "Monday, but it opened on Sunday"
    assert not is_in_window(sunday_night, at("03:59", 22))
    assert not is_in_window(sunday_night, at("23:00", 23))


def test_a_window_follows_its_own_zone_through_summer_time() -> None:
    pytest.importorskip("zoneinfo").ZoneInfo("Europe/Berlin")
    berlin = window("02:00", "03:00", zone="Europe/Berlin")
    assert is_in_window(berlin, datetime(2026, 1, 10, 1, 30, tzinfo=UTC))
    assert is_in_window(berlin, datetime(2026, 7, 10, 0, 30, tzinfo=UTC))
    assert "02:00 and 03:00 (Europe/Berlin)" in describe_window(berlin)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime", "x" * 60])
def test_a_zone_that_the_device_does_not_know_is_refused(zone: str) -> None:
    with pytest.raises(Rejected) as refused:
        verify_policy(m.UpdatePolicy(window=m.Window(zone=zone)))
    assert refused.value.reason == "unknown-zone"


@pytest.mark.parametrize("bad", [window("02:00", "02:00"), window("01:00", "02:00", days=())])
def test_a_window_that_never_opens_is_refused(bad: m.Window) -> None:
    with pytest.raises(Rejected) as refused:
        verify_policy(m.UpdatePolicy(window=bad))
    assert refused.value.reason == "empty-window"


@given(
    st.integers(0, 1439), st.integers(0, 1440), st.sets(st.integers(0, 6)), st.integers(0, 10**9)
)
def test_every_window_is_open_or_shut_and_never_an_error(
    start: int, end: int, days: set[int], offset: int
) -> None:
    some = m.Window(days=tuple(days), start_minute=start, end_minute=end)
    assert is_in_window(some, NOW + timedelta(seconds=offset)) in (True, False)


# --- trial


def judge(trial: Trial, *answers: bool, step: float = 0.5) -> Any:
    for number, healthy in enumerate(answers):
        verdict = trial.observe(number * step, healthy=healthy, reason="" if healthy else "ill")
        if verdict is not None:
            return verdict, number * step
    return None, len(answers) * step


def test_a_slot_passes_only_after_being_healthy_for_a_while_and_reaching_the_vendor() -> None:
    verdict, when = judge(Trial(60, 0, reached=True), *[True] * 100)
    assert verdict.passed
    assert when == 5.0
    verdict, _ = judge(Trial(60, 0, reached=False), *[True] * 300)
    assert not verdict.passed
    assert verdict.reason.startswith("vendor-unreachable")


def test_one_bad_answer_begins_the_healthy_time_anew() -> None:
    verdict, when = judge(Trial(60, 0, reached=True), *[True] * 9, False, *[True] * 100)
    assert verdict.passed
    assert when == 10.0


def test_lasting_illness_fails_soon_with_its_reason() -> None:
    verdict, when = judge(Trial(60, 0, reached=True), *[False] * 100)
    assert (verdict.passed, verdict.reason, when) == (False, "unhealthy: ill", 10.0)


def test_flapping_fails_before_boots_deadline() -> None:
    verdict, when = judge(Trial(60, 0, reached=True), *[True, False] * 100)
    assert not verdict.passed
    assert 50 < when < 60


# --- records


def test_a_floor_refuses_what_lies_behind_it_and_takes_what_lies_ahead() -> None:
    floor = raise_floor(Floor(time=NOW), roles={"timestamp": SeenRole(7, ("k",))})
    assert (
        raise_floor(floor, roles={"timestamp": SeenRole(8, ("k",))}).roles["timestamp"].version == 8
    )
    with pytest.raises(Rejected) as refused:
        raise_floor(floor, roles={"timestamp": SeenRole(6, ("k",))})
    assert refused.value.reason == "rollback"
    assert raise_floor(floor, roles={"timestamp": SeenRole(1, ("new",))}).roles[
        "timestamp"
    ].keys == ("new",)


def test_time_and_counter_only_rise() -> None:
    floor = raise_floor(Floor(time=NOW, security_counter=4), signed_time=NOW - timedelta(days=9))
    assert (floor.time, floor.security_counter) == (NOW, 4)


def test_withdrawals_are_remembered_up_to_a_bound() -> None:
    floor = Floor(time=NOW)
    for number in range(MAX_WITHDRAWN + 5):
        floor = raise_floor(floor, withdrawn=(f"{number:064x}",))
    assert len(floor.withdrawn) == MAX_WITHDRAWN
    assert floor.withdrawn[-1] == f"{MAX_WITHDRAWN + 4:064x}"
    assert raise_floor(floor, withdrawn=floor.withdrawn[-3:]).withdrawn == floor.withdrawn


def test_a_floor_survives_and_a_damaged_one_is_set_aside(tmp_path: Path) -> None:
    file = tmp_path / "floor.json"
    save_floor(file, Floor(time=NOW, security_counter=3))
    built = NOW - timedelta(days=1)
    assert load_floor(file, built_at=built, security_counter=1)[0].security_counter == 3
    file.write_bytes(b"\x00\x00")
    floor, warning = load_floor(file, built_at=built, security_counter=2)
    assert (floor.time, floor.security_counter) == (built, 2)
    assert "damaged" in warning
    assert (tmp_path / "floor.json.damaged").exists()


ATTEMPT = Attempt(version="1.1.0", manifest_sha256="ab" * 32, security_counter=2)


def boot(**changes: Any) -> m.BootRecord:
    fields: dict[str, Any] = {
        "running": "a", "on_trial": False, "version": "1.0.0", "security_counter": 1,
    }  # fmt: skip
    return m.BootRecord(**(fields | changes))


def test_an_attempt_is_settled_by_what_boot_says() -> None:
    progress = begin_attempt(Progress(), ATTEMPT)
    assert settle(progress, boot(on_trial=True, version="1.1.0")) == (progress, None)
    _, won = settle(progress, boot(version="1.1.0"))
    assert won is not None
    assert won.confirmed
    lost_record, lost = settle(
        progress, boot(fell_back_manifest=ATTEMPT.manifest_sha256, fell_back_reason="ill")
    )
    assert lost is not None
    assert not lost.confirmed
    assert lost_record.failed[0].final
    dropped, nothing = settle(progress, boot())
    assert (dropped.attempt, nothing) == (None, None)


# --- reports


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


# --- certificate and enrollment


def test_a_certificate_is_renewed_before_two_thirds_of_its_life(tmp_path: Path) -> None:
    certificate = OwnCertificate(b"", NOW, NOW + timedelta(days=30))
    for chance in (0.0, 0.5, 0.999):
        when = decide_renewal(certificate, random=lambda chance=chance: chance)
        assert NOW + timedelta(days=16) < when <= NOW + timedelta(days=20)


def test_the_key_stays_and_a_certificate_for_another_key_is_not_used(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    assert load_key(tmp_path).private_numbers() == key.private_numbers()
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    (tmp_path / "certificate.pem").write_bytes(b"junk")
    assert load_certificate(tmp_path, key) is None


def test_a_host_that_the_product_does_not_declare_is_never_called() -> None:
    with pytest.raises(Rejected) as refused:
        make_client(
            "evil.example",
            tls=None,  # type: ignore[arg-type]
            allowed=("vendor.example.com",),
            resolve={},
        )
    assert refused.value.reason == "host-not-allowed"


def run_errand(*steps: m.Reply) -> tuple[str, bytes]:
    """An errand against a server that echoes, with a keeper that answers by `steps`."""
    answers, fed = list(steps), b""

    async def ask(request: m.EnrollStart | m.EnrollFeed) -> m.Reply:
        nonlocal fed
        if isinstance(request, m.EnrollFeed):
            fed += request.received
        return answers.pop(0)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async def main() -> str:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            return await Errand(ask, host="vendor.example.com", address=address).run("csr")

    return asyncio.run(main()), fed


def test_an_errand_carries_bytes_both_ways_until_there_is_a_certificate() -> None:
    chain, fed = run_errand(m.EnrollStep(send=b"hello"), m.EnrollStep(chain_pem="PEM"))
    assert (chain, fed) == ("PEM", b"hello")


def test_an_errand_ends_with_the_keepers_refusal_or_without_a_certificate() -> None:
    with pytest.raises(Rejected) as refused:
        run_errand(m.Refused(reason="not-mine", message="another serial"))
    assert refused.value.reason == "not-mine"
    with pytest.raises(Unavailable):
        run_errand(m.EnrollStep(finished=True))
    with pytest.raises(Unavailable):
        run_errand(*[m.EnrollStep(send=b"x")] * 100)


def test_an_unreachable_vendor_is_no_crash_of_an_errand() -> None:
    async def ask(request: m.EnrollStart | m.EnrollFeed) -> m.Reply:
        raise AssertionError("asked without a connection")

    with pytest.raises(Unavailable):
        asyncio.run(Errand(ask, host="h", address=("127.0.0.1", 1)).run("csr"))
