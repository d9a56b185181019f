"""From a role's reply to an HTTP answer: one table of reasons and statuses.

Owns that table and the headers that every answer of the device carries.
"""

import functools
from collections.abc import Mapping
from typing import Any

import msgspec

from limpet.device.link import messages as m
from limpet.https.message import FixedHeaders, Response, fixed_headers, problem

__all__ = ["STATUS_OF", "json_answer", "refusal", "secured"]

STATUS_OF: Mapping[str, int] = {
    "bad-token": 401,
    "wrong-credentials": 401,
    "second-factor-needed": 401,
    "wrong-second-factor": 401,
    "clock-wrong": 401,
    "wrong-code": 403,
    "press-the-button": 403,
    "needs-session": 403,
    "not-the-owner": 403,
    "unclaimed": 403,
    "access-too-low": 403,
    "access-too-high": 403,
    "forbidden": 403,
    "wrong-host": 403,
    "wrong-origin": 403,
    "no-such-token": 404,
    "no-such-notice": 404,
    "no-such-person": 404,
    "no-such-invitation": 404,
    "no-transfer": 404,
    "no-takeover": 404,
    "no-enrolment": 404,
    "no-second-factor": 404,
    "unknown-function": 404,
    "not-found": 404,
    "already-claimed": 409,
    "already-offered": 409,
    "vendor-holds": 409,
    "takeover-pending": 409,
    "name-taken": 409,
    "too-many-tokens": 409,
    "too-many-people": 409,
    "too-many-invitations": 409,
    "throttled": 429,
    "shut": 429,
    "busy": 429,
    "app-error": 500,
    "internal": 500,
    "not-ready": 503,
    "not-served": 503,
    "resetting": 503,
    "unavailable": 503,
    "accounts-locked": 503,
    "app-timeout": 503,
    "app-memory": 503,
}
"""What is not here is the client's mistake: 400."""

_AGAIN_SECONDS = "5"

_ALWAYS: Mapping[str, str] = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}

_NOTHING: frozenset[str] = frozenset()

_STRICT: Mapping[str, str] = {"strict-transport-security": "max-age=63072000"}
"""RFC 6797; only under the name that the device alone has, for ever: `localhost` is others' too,
and a name that the owner gave it may be another's tomorrow."""


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """`value` (a struct, or bytes that are JSON already) as the body."""
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return Response(status, {**(headers or {}), "content-type": "application/json"}, body)


def refusal(refused: m.Refused) -> Response:
    """The problem document (RFC 9457) for a role's refusal."""
    status = STATUS_OF.get(refused.reason, 400)
    headers: dict[str, str] = {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"  # RFC 6750, 3
    if refused.retry_after_seconds > 0:
        headers["retry-after"] = str(max(1, round(refused.retry_after_seconds)))
    elif status in (429, 503):
        headers["retry-after"] = _AGAIN_SECONDS
    return problem(status, refused.reason, refused.message, headers=headers)


def secured(response: Response, *, host: str, own: str) -> Response:
    """The answer with the headers that every answer carries; `host` is what was asked for."""
    plain = _ALWAYS.keys().isdisjoint(response.headers)
    brought = _NOTHING if plain else frozenset(response.headers.keys() & _ALWAYS.keys())
    fixed = _headers_of_every_answer(brought, is_own=host.partition(":")[0].lower() == own)
    return Response(response.status, response.headers, response.body, fixed)


@functools.lru_cache(maxsize=16)
def _headers_of_every_answer(brought: frozenset[str], *, is_own: bool) -> FixedHeaders:
    """All but those that an answer has `brought`."""
    headers = {name: value for name, value in _ALWAYS.items() if name not in brought}
    return fixed_headers({**headers, **(_STRICT if is_own else {})})
