"""The owner's choice about updates: read, kept, and handed to the decision about a release.

Owns `settings/policy.json` and `settings/postponed.json`: what a factory reset erases. A choice
that can never be followed is refused when it is made, because the owner is there then.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from limpet.device.link.messages import UpdatePolicy, Window
from limpet.device.updater.schedule import LONGEST_OWNER_SECONDS
from limpet.device.updater.window import (
    describe_window,
    is_in_window,
    next_opening,
    verify_window,
)
from limpet.errors import Rejected, Unavailable
from limpet.firmware.decision import OwnerPolicy
from limpet.product import Update
from limpet.storage import make_directory, read_bounded, remove_durably, write_atomic
from limpet.wire.codec import Message, Moment, decode_json, encode_json

__all__ = [
    "Postponement",
    "decide_postponement",
    "default_policy",
    "hold_limit",
    "keep_password",
    "load_policy",
    "load_postponement",
    "owner_policy",
    "save_policy",
    "save_postponement",
    "verify_policy",
    "verify_product_bounds",
    "without_password",
]

_POLICY_BYTES = 16 << 10


class Postponement(Message, frozen=True, kw_only=True):
    """The owner's word to hold every installation back until then."""

    spec: Literal["limpet-postponement-1"] = "limpet-postponement-1"
    until: Moment  # UTC


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
    verify_window(policy.window)


def verify_product_bounds(policy: UpdatePolicy, update: Update) -> None:
    """That it lies within what the product leaves to its owner.

    Not more often than its maker's server is made for, not so seldom that it is forgotten, and
    no holding back where the maker grants none. Raises `Rejected("interval-out-of-bounds" |
    "no-holding")`.
    """
    asked, least = policy.interval_seconds, update.check_interval_min_seconds
    most = max(LONGEST_OWNER_SECONDS, least)
    if asked is not None and not least <= asked <= most:
        raise Rejected(
            "interval-out-of-bounds",
            f"between two checks of this product lie {least} to {most} s, not {asked}",
            hint=f"an interval from {least} to {most} s, or none for the maker's",
        )
    if policy.ask and update.max_hold_days == 0:
        raise _no_holding()


def decide_postponement(
    days: int, *, update: Update, waiting_since: datetime | None, now: datetime
) -> Postponement | None:
    """The owner's word to hold updates back for `days` from `now` (UTC); None for no days.

    The product's bound counts from the first day on which a release waited for the owner only:
    whoever postpones again and again gains nothing. Raises `Rejected("no-holding" |
    "hold-too-long")`.
    """
    if days == 0:
        return None
    if update.max_hold_days == 0:
        raise _no_holding()
    until, limit = now + timedelta(days=days), hold_limit(update, waiting_since or now)
    if until > limit:
        left = max((limit - now).days, 0)
        raise Rejected(
            "hold-too-long",
            f"this product's updates can be held back for {update.max_hold_days} days at most,"
            f" until {limit:%Y-%m-%d %H:%M} UTC",
            hint=f"at most {left} days from now" if left else "the next window installs it",
        )
    return Postponement(until=until)


def hold_limit(update: Update, since: datetime) -> datetime:
    """UTC: when the owner's holds end that began at `since`."""
    return since + timedelta(days=update.max_hold_days)


def owner_policy(
    policy: UpdatePolicy,
    *,
    update: Update,
    postponement: Postponement | None,
    waiting_since: datetime | None,
) -> OwnerPolicy:
    """The choice as the decision about a release takes it."""
    window = policy.window
    security = update.max_security_hold_days
    return OwnerPolicy(
        automatic=policy.automatic,
        in_window=lambda now: is_in_window(window, now),
        window_text=describe_window(window),
        opening=lambda now: next_opening(window, now),
        ask=policy.ask,
        postponed_until=postponement.until if postponement else None,
        waiting_since=waiting_since,
        hold_days=update.max_hold_days,
        security_hold_days=update.max_hold_days if security is None else security,
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


def keep_password(policy: UpdatePolicy, known: UpdatePolicy) -> UpdatePolicy:
    """`policy` with the proxy's password that is `known`, where it names the same proxy and user
    without one: whoever changes the window need not know it."""
    new, old = policy.proxy, known.proxy
    if new is None or old is None or new.password is not None:
        return policy
    if (new.host, new.port, new.user) != (old.host, old.port, old.user):
        return policy  # a password goes to nobody but the proxy that it was set for
    return replace(policy, proxy=old)


def without_password(policy: UpdatePolicy) -> UpdatePolicy:
    """`policy` as it may be shown."""
    if policy.proxy is None:
        return policy
    return replace(policy, proxy=replace(policy.proxy, password=None))


def load_postponement(file: Path) -> Postponement | None:
    """The owner's word, if there is one. Raises `Rejected("malformed")`."""
    if not file.exists():
        return None
    data = read_bounded(file, max_bytes=_POLICY_BYTES)
    return decode_json(data, Postponement, max_bytes=_POLICY_BYTES)


def save_postponement(file: Path, postponement: Postponement | None) -> None:
    """Keep it, or forget it; durable on return. Raises `Unavailable`."""
    make_directory(file.parent)
    if postponement is None:
        remove_durably(file)
    else:
        write_atomic(file, encode_json(postponement))


def _no_holding() -> Rejected:
    return Rejected(
        "no-holding",
        "this product's updates cannot be held back",
        hint="a window says at which time of day they are installed",
    )


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
