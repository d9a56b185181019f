"""The owner's window for installations: every one is open or shut, and opens some day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.device.link import messages as m
from limpet.device.updater.policy import verify_policy
from limpet.device.updater.window import describe_window, is_in_window, next_opening
from limpet.errors import Rejected

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday


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


ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia")


@given(
    st.integers(0, 1439),
    st.integers(0, 1440),
    st.sets(st.integers(0, 6), min_size=1),
    st.sampled_from(ZONES),
    st.integers(0, 500 * 86400),
)
@settings(max_examples=60, deadline=None)
def test_the_next_opening_is_the_first_minute_that_is_open(
    start: int, end: int, days: set[int], zone: str, offset: int
) -> None:
    """Against a look at each minute, through every change of the clock."""
    if start == end:
        return
    some = m.Window(days=tuple(days), start_minute=start, end_minute=end, zone=zone)
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=offset)
    found = next_opening(some, now)
    if is_in_window(some, now):
        assert found is None
        return
    assert found is not None
    minute = now.replace(second=0, microsecond=0)
    while not is_in_window(some, minute):
        minute += timedelta(minutes=1)
    assert found.opens == minute
    while is_in_window(some, minute) and minute - found.opens < timedelta(days=1):
        minute += timedelta(minutes=1)
    assert found.closes == minute


def test_an_hour_that_is_left_out_opens_nothing_and_one_that_comes_twice_opens_twice() -> None:
    night = window("02:00", "03:00", zone="Europe/Berlin")
    spring = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)  # midnight; at 02:00 it is 03:00
    opening = next_opening(night, spring)
    assert opening is not None
    assert opening.opens == datetime(2026, 3, 30, 0, 0, tzinfo=UTC), "Monday, 02:00 in summer"
    assert opening.text == "Monday 02:00 (Europe/Berlin)"
    autumn = datetime(2026, 10, 24, 22, 30, tzinfo=UTC)
    opening = next_opening(night, autumn)
    assert opening is not None
    assert opening.closes - opening.opens == timedelta(hours=2)


def test_the_text_names_the_day_only_where_it_is_another() -> None:
    night = window("02:00", "05:00")
    shown = [next_opening(night, at(t)) for t in ("01:00", "05:00")]
    assert [one.text for one in shown if one] == ["02:00 (UTC)", "Monday 02:00 (UTC)"]
    weekly = next_opening(window("02:00", "05:00", days=(6,)), at("05:00"))
    assert weekly is not None
    assert weekly.text == "2026-11-29 02:00 (UTC)"


@given(
    st.integers(0, 1439), st.integers(0, 1440), st.sets(st.integers(0, 6)), st.integers(0, 10**9)
)
def test_every_window_is_open_or_shut_and_never_an_error(
    start: int, end: int, days: set[int], offset: int
) -> None:
    some = m.Window(days=tuple(days), start_minute=start, end_minute=end)
    assert is_in_window(some, NOW + timedelta(seconds=offset)) in (True, False)
