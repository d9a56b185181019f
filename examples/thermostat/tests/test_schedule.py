"""Which temperature is wanted when."""

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermostat.schedule import (
    BOOST_CELSIUS,
    DEFAULT_CELSIUS,
    FROST_CELSIUS,
    Day,
    Entry,
    Hold,
    Mode,
    Period,
    Settings,
    decide_target,
    next_change,
    verify_schedule,
)

from limpet.errors import Rejected

ALL = tuple(Day)
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = (Entry(ALL, "06:30", 21.0), Entry(ALL, "22:30", 16.0))
INSTANTS = st.datetimes(
    datetime(2026, 1, 2),
    datetime(2040, 1, 1),
    timezones=st.just(UTC),
)


def at(text: str, *, day: int = 0) -> datetime:
    hour, minute = map(int, text.split(":"))
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("when", "celsius"),
    [("06:29", 16.0), ("06:30", 21.0), ("22:29", 21.0), ("22:30", 16.0), ("23:59", 16.0)],
)
def test_the_schedule_holds_from_its_times_on(when: str, celsius: float) -> None:
    assert decide_target(Settings(schedule=WEEK), at(when, day=2)).celsius == celsius


def test_the_evening_holds_past_midnight_into_the_morning() -> None:
    assert decide_target(Settings(schedule=WEEK), at("00:05", day=3)).celsius == 16.0


def test_before_the_first_entry_of_the_week_the_last_of_the_week_before_holds() -> None:
    schedule = (Entry((Day.WED,), "12:00", 20.0), Entry((Day.SUN,), "18:00", 12.0))
    assert decide_target(Settings(schedule=schedule), at("00:00")).celsius == 12.0
    assert decide_target(Settings(schedule=schedule), at("23:59", day=1)).celsius == 12.0


@pytest.mark.skipif(
    "Europe/Berlin" not in available_timezones(), reason="this machine has no time zone data"
)
def test_the_schedule_follows_the_wall_clock_of_its_zone() -> None:
    settings = Settings(schedule=WEEK, zone="Europe/Berlin")
    winter, summer = (
        datetime(2026, 1, 7, 5, 45, tzinfo=UTC),
        datetime(2026, 7, 8, 4, 45, tzinfo=UTC),
    )
    for instant in (winter, summer):  # 06:45 in Berlin both times
        assert decide_target(settings, instant).celsius == 21.0
        assert decide_target(settings, instant - timedelta(minutes=30)).celsius == 16.0


@given(INSTANTS)
def test_the_next_change_is_ahead_within_a_day_and_changes_the_target(now: datetime) -> None:
    settings = Settings(schedule=WEEK)
    change = next_change(settings, now)
    assert change is not None
    assert timedelta(0) < change - now <= timedelta(days=1)
    before = decide_target(settings, change - timedelta(seconds=1)).celsius
    assert decide_target(settings, change).celsius != before
    assert decide_target(settings, now).celsius == before


def test_a_clock_that_cannot_be_right_rests_the_schedule() -> None:
    target = decide_target(Settings(schedule=WEEK), datetime(1970, 1, 1, tzinfo=UTC))
    assert (target.celsius, target.reason) == (DEFAULT_CELSIUS, "default")


def test_off_still_protects_from_frost_and_a_boost_goes_before_all() -> None:
    boosted = Settings(mode=Mode.OFF, boost=Period(at("10:00"), at("10:30")), hold=Hold(18.0))
    assert decide_target(boosted, at("10:10")).celsius == BOOST_CELSIUS
    assert decide_target(boosted, at("10:30")).celsius == FROST_CELSIUS


def test_a_clock_that_jumps_back_ends_a_boost() -> None:
    boosted = Settings(boost=Period(at("10:00"), at("10:30")))
    assert decide_target(boosted, at("09:00")).reason == "default"


def test_a_temperature_set_by_hand_ends_at_its_time() -> None:
    settings = Settings(hold=Hold(23.0, at("08:00")), schedule=WEEK)
    assert decide_target(settings, at("07:59")).reason == "set by hand"
    assert decide_target(settings, at("08:00")).reason == "schedule"


def test_two_entries_at_the_same_time_are_refused() -> None:
    twice = (Entry((Day.MON, Day.TUE), "06:00", 20.0), Entry((Day.TUE,), "06:00", 21.0))
    with pytest.raises(Rejected, match="two begin at the same time"):
        verify_schedule(twice)
