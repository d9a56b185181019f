"""Which temperature is wanted now: boost, frost protection, manual, week schedule. Pure.

Owns the settings that the people of the room make, and the decision over them.
A clock that cannot be right never turns the heating up: the schedule then rests.
"""

import enum
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from limpet.device.app import Rejected

__all__ = [
    "MAX_ENTRIES",
    "Celsius",
    "Day",
    "Entry",
    "Hold",
    "Mode",
    "Period",
    "Settings",
    "Target",
    "decide_target",
    "load_zone",
    "next_change",
    "verify_schedule",
]

FROST_CELSIUS = 5.0
BOOST_CELSIUS = 24.0
DEFAULT_CELSIUS = 19.0
MAX_ENTRIES = 70
EARLIEST_CLOCK = datetime(2026, 1, 1, tzinfo=UTC)  # before this program was written
WEEK_MINUTES = 7 * 24 * 60

Celsius = Annotated[float, Meta(ge=FROST_CELSIUS, le=30.0, description="°C")]
ClockTime = Annotated[str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", description="HH:MM")]


class Day(enum.Enum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Mode(enum.Enum):
    """Whether the room is heated at all; frost protection stays in both."""

    HEAT = "heat"
    OFF = "off"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `at` on these days `celsius` is wanted, until the next entry of the week."""

    days: Annotated[tuple[Day, ...], Meta(min_length=1, max_length=7)]
    at: ClockTime
    celsius: Celsius


class Period(msgspec.Struct, frozen=True):
    """A stretch of time, UTC."""

    start: datetime
    end: datetime


class Hold(msgspec.Struct, frozen=True):
    """A temperature set by hand; without `until` it holds until it is set anew."""

    celsius: Celsius
    until: datetime | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that people chose."""

    mode: Mode = Mode.HEAT
    hold: Hold | None = None
    boost: Period | None = None
    schedule: tuple[Entry, ...] = ()
    zone: str = "UTC"


class Target(msgspec.Struct, frozen=True):
    """The temperature wanted, and what wants it."""

    celsius: float
    reason: str


def decide_target(settings: Settings, now: datetime) -> Target:
    """The first of these that applies: boost, off, hold, schedule, default. `now` in UTC."""
    boost = settings.boost
    # A clock that jumps back must end a boost, not prolong it.
    if boost is not None and boost.start <= now < boost.end:
        return Target(BOOST_CELSIUS, "boost")
    if settings.mode is Mode.OFF:
        return Target(FROST_CELSIUS, "frost protection")
    hold = settings.hold
    if hold is not None and (hold.until is None or now < hold.until):
        return Target(hold.celsius, "set by hand")
    if settings.schedule and now >= EARLIEST_CLOCK:
        return Target(_scheduled(settings, now), "schedule")
    return Target(DEFAULT_CELSIUS, "default")


def next_change(settings: Settings, now: datetime) -> datetime | None:
    """When the schedule next sets a temperature after `now`, UTC; None without a schedule."""
    if not settings.schedule or now < EARLIEST_CLOCK:
        return None
    local = now.astimezone(load_zone(settings.zone))
    minute = _minute_of_week(local)
    ahead = min((start - minute - 1) % WEEK_MINUTES + 1 for start, _ in _starts(settings.schedule))
    # In wall time, so that 06:30 stays 06:30 over a change to summer time.
    wall = local.replace(tzinfo=None, second=0, microsecond=0) + timedelta(minutes=ahead)
    return wall.replace(tzinfo=local.tzinfo).astimezone(UTC)


def verify_schedule(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries, of which no two begin at the same time. Raises `Rejected("bad-arguments")`."""
    starts = [start for start, _ in _starts(entries)]
    if len(starts) > MAX_ENTRIES:
        raise Rejected("bad-arguments", f"entries: at most {MAX_ENTRIES} times in a week")
    if len(set(starts)) != len(starts):
        raise Rejected("bad-arguments", "entries: two begin at the same time")
    return entries


def load_zone(name: str) -> tzinfo:
    """The time zone `name`. Raises `Rejected("bad-arguments")` if this device has no such zone."""
    if name == "UTC":  # also where no time zone data is installed
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Rejected("bad-arguments", "zone: no such time zone", hint="UTC always is") from error


def _scheduled(settings: Settings, now: datetime) -> float:
    minute = _minute_of_week(now.astimezone(load_zone(settings.zone)))
    starts = sorted(_starts(settings.schedule))
    # Before the week's first entry the last one of the week before still holds.
    celsius = starts[-1][1]
    for start, wanted in starts:
        if start <= minute:
            celsius = wanted
    return celsius


def _starts(entries: tuple[Entry, ...]) -> list[tuple[int, float]]:
    """Minute of the week (Monday 00:00 is 0) and temperature, for each day of each entry."""
    days = list(Day)
    return [
        (days.index(day) * 1440 + _minute_of_day(entry.at), entry.celsius)
        for entry in entries
        for day in entry.days
    ]


def _minute_of_day(at: str) -> int:
    parsed = time.fromisoformat(at)
    return parsed.hour * 60 + parsed.minute


def _minute_of_week(local: datetime) -> int:
    return local.weekday() * 1440 + local.hour * 60 + local.minute
