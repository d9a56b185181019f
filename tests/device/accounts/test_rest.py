"""When accounts may rest, and that a rest gives a guesser neither tries nor time."""

from pathlib import Path

import pytest
from tests.device.accounts.conftest import PASSWORD, Desk, login_of, reason_of

from limpet.device.accounts.clock import GuardedClock
from limpet.device.accounts.context import BUTTON_SECONDS
from limpet.device.accounts.factors import ENROL_SECONDS
from limpet.device.accounts.guard import REFUSALS_SUMMARY_SECONDS
from limpet.device.accounts.rest import REST_FILE, is_needed, keep_clock, take_clock
from limpet.device.accounts.throttle import FORGET_SECONDS
from limpet.device.link import messages as m


def take(directory: Path, *, now: float, least: float = 0.0) -> GuardedClock | None:
    return take_clock(directory, least=least, monotonic=lambda: now)


def test_accounts_whose_owner_has_gone_may_rest(desk: Desk) -> None:
    assert not is_needed(desk.service)
    desk.claim()
    assert not is_needed(desk.service)


def test_a_wrong_guess_is_remembered_for_a_day_from_its_last_repetition(desk: Desk) -> None:
    """Else whoever repeats an old password would be counted, and shut out, after each rest."""
    desk.claim()
    assert reason_of(desk.does(login_of("an old password of mine"))) == "wrong-credentials"
    desk.now += FORGET_SECONDS - 1
    assert is_needed(desk.service)
    assert reason_of(desk.does(login_of("an old password of mine"))) == "wrong-credentials"
    desk.now += FORGET_SECONDS - 1
    assert is_needed(desk.service)
    desk.now += 2
    assert not is_needed(desk.service)


def test_a_flood_of_refusals_stays_one_line_because_there_is_no_rest_before_the_next(
    desk: Desk,
) -> None:
    desk.claim()
    for number in range(5):
        desk.does(login_of(f"wrong guess number {number}"))
    desk.service.guard.forget_guesses()
    assert is_needed(desk.service)
    desk.now += REFUSALS_SUMMARY_SECONDS + 1
    assert not is_needed(desk.service)


def test_what_running_time_ends_keeps_accounts_awake(desk: Desk) -> None:
    owner = desk.claim()
    desk.invite(owner.token)
    assert is_needed(desk.service)


def test_somebody_at_the_device_keeps_accounts_awake_as_long_as_that_counts(tmp_path: Path) -> None:
    desk = Desk(tmp_path, button=True)
    desk.claim()
    desk.does(m.PressButton())
    assert is_needed(desk.service)
    desk.now += BUTTON_SECONDS + 1
    assert not is_needed(desk.service)


def test_a_second_factor_that_is_being_set_up_is_not_lost(desk: Desk) -> None:
    owner = desk.claim()
    request = m.BeginSecondFactor(token=owner.token, password=PASSWORD, second="", source="a")
    assert isinstance(desk.does(request), m.Answer)
    assert is_needed(desk.service)
    desk.now += ENROL_SECONDS + 1
    assert not is_needed(desk.service)


def test_over_a_rest_only_monotonic_time_counts(tmp_path: Path) -> None:
    """Whoever forges the wall clock (NTP) and waits for rests gains nothing."""
    keep_clock(tmp_path, reading=5000.0, at=700.0)
    clock = take(tmp_path, now=760.0, least=4000.0)
    assert clock is not None
    assert clock() == 5060.0


def test_a_clock_that_was_left_is_used_once(tmp_path: Path) -> None:
    keep_clock(tmp_path, reading=5000.0, at=700.0)
    assert take(tmp_path, now=760.0) is not None
    assert take(tmp_path, now=760.0) is None


def test_a_clock_from_before_the_machines_start_gives_no_more_than_it_has_run(
    tmp_path: Path,
) -> None:
    keep_clock(tmp_path, reading=5000.0, at=700.0)
    assert take(tmp_path, now=60.0) is None  # then as after any restart
    keep_clock(tmp_path, reading=5000.0, at=700.0)
    clock = take(tmp_path, now=800.0)  # 800 s after the start, or more since it was left
    assert clock is not None
    assert clock() == 5100.0


def test_a_clock_that_is_older_than_the_last_guess_is_not_used(tmp_path: Path) -> None:
    keep_clock(tmp_path, reading=5000.0, at=700.0)
    assert take(tmp_path, now=760.0, least=5001.0) is None


@pytest.mark.parametrize("content", [b"", b"{}", b'{"reading": -1, "at": 1}', b"\xff" * 9000])
def test_a_damaged_clock_is_none_and_is_gone(content: bytes, tmp_path: Path) -> None:
    (tmp_path / REST_FILE).write_bytes(content)
    assert take(tmp_path, now=1.0) is None
    assert not (tmp_path / REST_FILE).exists()
