"""The owner's update policy: read it, change it, put it back; and try to change it unasked.

Owns the only changes that the audit makes to a device on purpose. Whatever
happens, the policy found is written back.
"""

import contextlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from limpet.audit.instruments.http import Conversation, converse, converse_as_owner, read_json
from limpet.audit.target import Target
from limpet.errors import LimpetError, Unavailable

__all__ = [
    "Planned",
    "PolicyChanges",
    "PolicyTheft",
    "change_policy",
    "plan_checks",
    "read_update_status",
    "steal_policy",
]

DRAWS = 6
DRAW_PAUSE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChanges:
    """What the owner could change, read back from the device each time."""

    turned_off: bool
    window_set: bool
    restored: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTheft:
    """Attempts to change the policy without the right to."""

    answers: tuple[tuple[str, int], ...]  # who tried, and the status
    unchanged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Seconds from each drawing to the next check that the device then planned."""

    waits: tuple[float, ...]


def read_update_status(target: Target) -> Mapping[str, object]:
    """GET /v1/update as the owner."""
    with converse_as_owner(target) as owner:
        return _status(owner)


def change_policy(target: Target) -> PolicyChanges:
    """Turn automatic updates off, set a window, and put the policy back."""
    with converse_as_owner(target) as owner:
        before = _policy(_status(owner))
        try:
            _put(owner, {**before, "automatic": False})
            turned_off = _policy(_status(owner)).get("automatic") is False
            window = {"days": [2], "start_minute": 61, "end_minute": 122, "zone": "UTC"}
            _put(owner, {**before, "window": window})
            window_set = _policy(_status(owner)).get("window") == window
        finally:
            _put(owner, before)
        restored = _policy(_status(owner)) == before
    return PolicyChanges(turned_off=turned_off, window_set=window_set, restored=restored)


def steal_policy(target: Target) -> PolicyTheft:
    """Put a policy with no token, with a made-up one, and with a token that may only read."""
    before = _before(target)
    wanted = {**before, "automatic": not before.get("automatic", True)}
    answers: list[tuple[str, int]] = []
    for who, token in (("no token", None), ("a made-up token", secrets.token_urlsafe(32))):
        with converse(target, token=token) as stranger:
            answers.append((who, stranger.ask("PUT", "/v1/update/policy", wanted).status))
    viewer = _viewer_token(target)
    if viewer:
        token_id, secret = viewer
        with converse(target, token=secret) as reader:
            status = reader.ask("PUT", "/v1/update/policy", wanted).status
            answers.append(("a token that may only read", status))
        _revoke(target, token_id)
    return PolicyTheft(answers=tuple(answers), unchanged=_before(target) == before)


def plan_checks(target: Target) -> Planned:
    """Write the policy found again and again: the device draws its next check anew each time.

    The wait is counted from the audit's clock, so a clock that differs shifts all alike.
    """
    waits = []
    with converse_as_owner(target) as owner:
        policy = _policy(_status(owner))
        for _ in range(DRAWS):
            asked = target.now()
            _put(owner, policy)
            time.sleep(DRAW_PAUSE)
            following = _time(_status(owner).get("next_check"))
            if following is not None:
                waits.append((following - asked).total_seconds())
    return Planned(waits=tuple(waits))


def _before(target: Target) -> dict[str, object]:
    if target.token is None or target.device_root_pem is None:
        return {}
    with converse_as_owner(target) as owner:
        return _policy(_status(owner))


def _viewer_token(target: Target) -> tuple[str, str] | None:
    if target.token is None or target.device_root_pem is None:
        return None
    wanted = {"label": "audit: may only read", "access": "viewer", "lifetime_seconds": 60}
    with converse_as_owner(target) as owner:
        for access in ("viewer", 1):
            answer = owner.ask("POST", "/v1/tokens", {**wanted, "access": access})
            if answer.status in (200, 201):
                created = _object(answer.body)
                return str(created.get("token_id", created.get("id", ""))), str(created["token"])
    return None


def _revoke(target: Target, token_id: str) -> None:
    if token_id:
        # If it cannot be revoked, it dies by itself within a minute.
        with contextlib.suppress(LimpetError), converse_as_owner(target) as owner:
            owner.ask("DELETE", f"/v1/tokens/{token_id}")


def _object(body: bytes) -> dict[str, object]:
    """A JSON object whatever the status; empty if it is none."""
    try:
        return msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _status(owner: Conversation) -> dict[str, object]:
    return read_json(owner.ask("GET", "/v1/update"), "GET /v1/update")


def _policy(status: Mapping[str, object]) -> dict[str, object]:
    policy = status.get("policy")
    if not isinstance(policy, dict):
        raise Unavailable("GET /v1/update shows no policy")
    return {str(name): value for name, value in policy.items()}


def _put(owner: Conversation, policy: Mapping[str, object]) -> None:
    answer = owner.ask("PUT", "/v1/update/policy", policy)
    if answer.status >= 400:
        raise Unavailable(f"PUT /v1/update/policy answered {answer.status} to the owner")


def _time(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value).replace("Z", "+00:00")) if value else None
    except ValueError:
        return None
