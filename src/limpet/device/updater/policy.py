"""The owner's choice about updates: read, kept, and applied to a moment.

Owns `settings/policy.json` and the meaning of a window. The times of day are in
the window's own zone; a zone that this device does not know is refused when it is
set, because the owner is there then. UTC needs no data and always works.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from limpet.device.link.messages import UpdatePolicy, Window
from limpet.errors import Rejected, Unavailable
from limpet.firmware.decision import OwnerPolicy
from limpet.product import Update
from limpet.storage import make_directory, read_bounded, write_atomic
from limpet.wire.codec import decode_json, encode_json

__all__ = [
    "default_policy",
    "describe_window",
    "is_in_window",
    "load_policy",
    "owner_policy",
    "save_policy",
    "verify_policy",
]

_POLICY_BYTES = 16 << 10
_DAY_MINUTES = 1440
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def default_policy(update: Update) -> UpdatePolicy:
    """Until the owner decides: automatic unless the design says otherwise (draft-moore, 2.4.2)."""
    window = Window()
    if update.default_window is not None:
        window = Window(
            start_minute=_minute(update.default_window.start),
            end_minute=_minute(update.default_window.end),
        )
    return UpdatePolicy(automatic=update.automatic, window=window)


def verify_policy(policy: UpdatePolicy) -> None:
    """That the policy can ever be followed. Raises `Rejected("unknown-zone" | "empty-window")`."""
    _zone(policy.window.zone)
    if not policy.window.days or policy.window.start_minute == policy.window.end_minute:
        raise Rejected("empty-window", "the window never opens", hint="name days and two times")


def owner_policy(policy: UpdatePolicy) -> OwnerPolicy:
    """The choice as the decision about a release takes it."""
    window = policy.window
    return OwnerPolicy(
        automatic=policy.automatic,
        in_window=lambda now: is_in_window(window, now),
        window_text=describe_window(window),
    )


def is_in_window(window: Window, now: datetime) -> bool:
    """Whether an installation may begin at `now` (UTC).

    A window that spans midnight belongs to the day on which it opens. A zone that became
    unknown (a new firmware without its data) is read as UTC, so that updates never stop.
    """
    local = now.astimezone(_zone_or_utc(window.zone))
    minute = local.hour * 60 + local.minute
    opened_today = local.weekday() in window.days
    opened_yesterday = (local - timedelta(days=1)).weekday() in window.days
    if window.start_minute < window.end_minute:
        return opened_today and window.start_minute <= minute < window.end_minute
    if minute >= window.start_minute:
        return opened_today
    return opened_yesterday and minute < window.end_minute


def describe_window(window: Window) -> str:
    """The window for a person: "on Saturday, Sunday between 02:00 and 05:00 (UTC)"."""
    days = "every day" if len(set(window.days)) == len(_DAYS) else ""
    days = days or "on " + ", ".join(_DAYS[day] for day in sorted(set(window.days)))
    return f"{days} between {_clock(window.start_minute)} and {_clock(window.end_minute)}" + (
        f" ({window.zone})"
    )


def load_policy(file: Path, *, default: UpdatePolicy) -> UpdatePolicy:
    """The owner's policy, or `default` while there is none. Raises `Rejected("malformed")`."""
    try:
        data = read_bounded(file, max_bytes=_POLICY_BYTES)
    except Unavailable:
        return default
    return decode_json(data, UpdatePolicy, max_bytes=_POLICY_BYTES)


def save_policy(file: Path, policy: UpdatePolicy) -> None:
    """Keep the policy, durable on return. Raises as `verify_policy`, and `Unavailable`."""
    verify_policy(policy)
    make_directory(file.parent)
    write_atomic(file, encode_json(msgspec.to_builtins(policy)))


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


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _clock(minute: int) -> str:
    return "24:00" if minute == _DAY_MINUTES else f"{minute // 60:02d}:{minute % 60:02d}"
