"""The owner's window for installations, applied to a moment.

Pure but for the time zones, which come from the system's data. The times of day are in the
window's own zone, as a clock on the wall shows them: where the clock goes back, an hour that
comes twice is in the window twice; where it goes forward, a window within the hour that is left
out does not open that day. UTC needs no data and always works.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from limpet.device.link.messages import Window
from limpet.errors import Rejected
from limpet.firmware.decision import Opening

__all__ = ["describe_window", "is_in_window", "next_opening", "verify_window"]

_DAY_MINUTES = 1440
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MINUTE = timedelta(minutes=1)
_LONGEST_STEP = 30  # minutes: no zone's clock was ever moved by less and back within an hour
_HORIZON = timedelta(days=16)  # a weekly window may fall into the hour that is left out


def verify_window(window: Window) -> None:
    """That it ever opens here. Raises `Rejected("unknown-zone" | "empty-window")`."""
    _zone(window.zone)
    if not window.days or window.start_minute == window.end_minute:
        raise Rejected("empty-window", "the window never opens", hint="name days and two times")


def is_in_window(window: Window, now: datetime) -> bool:
    """Whether an installation may begin at `now` (UTC).

    A window that spans midnight belongs to the day on which it opens. A zone that became
    unknown (a new firmware without its data) is read as UTC, so that updates never stop.
    """
    return _contains(window, now.astimezone(_zone_or_utc(window.zone)))


def next_opening(window: Window, now: datetime) -> Opening | None:
    """When it opens and closes next, to the minute, if it is shut at `now` (UTC).

    None if it is open, or does not open within 16 days.
    """
    zone = _zone_or_utc(window.zone)
    moment = now.replace(second=0, microsecond=0)
    if _contains(window, moment.astimezone(zone)):
        return None
    opens = _change(window, zone, moment, towards=window.start_minute, until=moment + _HORIZON)
    if opens is None:
        return None
    latest = opens + timedelta(days=1)
    closes = _change(window, zone, opens, towards=window.end_minute, until=latest) or latest
    local, today = opens.astimezone(zone), now.astimezone(zone)
    day = "" if local.date() == today.date() else f"{_DAYS[local.weekday()]} "
    if opens - now > timedelta(days=6):
        day = f"{local:%Y-%m-%d} "
    return Opening(opens=opens, closes=closes, text=f"{day}{local:%H:%M} ({window.zone})")


def describe_window(window: Window) -> str:
    """The window for a person: "on Saturday, Sunday between 02:00 and 05:00 (UTC)"."""
    days = "every day" if len(set(window.days)) == len(_DAYS) else ""
    days = days or "on " + ", ".join(_DAYS[day] for day in sorted(set(window.days)))
    return f"{days} between {_clock(window.start_minute)} and {_clock(window.end_minute)}" + (
        f" ({window.zone})"
    )


def _contains(window: Window, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    opened_today = local.weekday() in window.days
    opened_yesterday = (local.weekday() - 1) % len(_DAYS) in window.days
    if window.start_minute < window.end_minute:
        return opened_today and window.start_minute <= minute < window.end_minute
    if minute >= window.start_minute:
        return opened_today
    return opened_yesterday and minute < window.end_minute


def _change(
    window: Window, zone: tzinfo, begin: datetime, *, towards: int, until: datetime
) -> datetime | None:
    """The first minute after `begin` in which the window is open if it was shut, or shut.

    Steps to the time of day `towards`, but never far: between two looks the clock may be moved.
    """
    was = _contains(window, begin.astimezone(zone))
    moment = begin
    while moment < until:
        local = moment.astimezone(zone)
        left = (towards - local.hour * 60 - local.minute) % _DAY_MINUTES or _DAY_MINUTES
        step = min(left, _LONGEST_STEP)
        following = moment + step * _MINUTE
        if _contains(window, following.astimezone(zone)) is not was:
            return _refine(window, zone, moment, following)
        moment = following
    return None


def _refine(window: Window, zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The first minute after `before` that is like `after`."""
    wanted = _contains(window, after.astimezone(zone))
    moment = before + _MINUTE
    while moment < after and _contains(window, moment.astimezone(zone)) is not wanted:
        moment += _MINUTE
    return moment


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Rejected(
            "unknown-zone", f"this device does not know the time zone {name!a}", hint="use UTC"
        ) from error


def _zone_or_utc(name: str) -> tzinfo:
    try:
        return _zone(name)
    except Rejected:
        return UTC


def _clock(minute: int) -> str:
    return "24:00" if minute == _DAY_MINUTES else f"{minute // 60:02d}:{minute % 60:02d}"
