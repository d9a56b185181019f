"""Telling another service of a new entry: one POST of JSON each, over TLS only.

Owns the note's form and its delivery. A note counts as delivered once a 2xx came back; it is tried
a few times at each look, and comes at least once, byte for byte the same: whoever takes it knows it
again by `id` and `at`. An entry that was opened again comes with the same `id` and a later `at`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from limpet.crypto.suites import TlsUse
from limpet.crypto.tls import client_context
from limpet.errors import LimpetError, Rejected
from limpet.https.client import HttpsClient, Timeouts
from limpet.https.url import split_https_url

from ._store import Owed, WatchStore
from ._types import Entry

__all__ = ["TRIES", "Webhook", "deliver", "describe", "make_webhook"]

TRIES = 3  # of one note at one look
MAX_NOTES = 200  # at one look
PAUSE_SECONDS = 1.0  # before the second try; doubled before the third
TIMEOUTS = Timeouts(connect=5.0, total=10.0)  # of one try
_ANSWER_BYTES = 64 << 10
_REFUSALS = frozenset({400, 413, 422})
"""Answers about this one note; any other but a 2xx is about the server, or about us (RFC 9110)."""
_JSON = {"content-type": "application/json", "user-agent": "limpet-watch"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where notes go, and whom to believe that it is there."""

    origin: str  # https://host:port
    path: str
    roots_pem: bytes
    sleep: Callable[[float], object]


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What is posted."""

    spec: str = "limpet-watch-entry-1"
    id: str
    at: datetime
    model: str
    advisory: str
    aliases: tuple[str, ...]
    component: str
    version: str
    severity: str
    summary: str
    fixable: bool
    fix: str
    opened_at: datetime
    releases: tuple[str, ...]
    devices: int


def make_webhook(url: str, *, roots_pem: bytes, sleep: Callable[[float], object]) -> Webhook:
    """A webhook at `url`. Raises `Rejected("bad-webhook")` for what is not plain https."""
    parts = split_https_url(url)
    if parts is None:
        message = "a webhook is an https URL, without user name and fragment"
        raise Rejected("bad-webhook", message, hint="as --webhook https://tracker.example/hook")
    origin, path = parts
    return Webhook(origin=origin, path=path, roots_pem=roots_pem, sleep=sleep)


def describe(entry: Entry, *, at: datetime) -> bytes:
    """The note about `entry`, as it is posted."""
    names = ("id", "model", "advisory", "aliases", "component", "version", "severity", "summary")
    more = ("fixable", "fix", "opened_at", "releases", "devices")
    values = {name: getattr(entry, name) for name in (*names, *more)}
    return msgspec.json.encode(Note(at=at, **values))


def deliver(
    webhook: Webhook,
    store: WatchStore,
    *,
    clock: Callable[[], datetime],
    after: Callable[[str], None],
) -> None:
    """Post what is owed, oldest first; what is not taken stays owed. Never raises for the peer."""
    tls = client_context(roots_pem=webhook.roots_pem, use=TlsUse.OUTBOUND)
    client = HttpsClient(webhook.origin, tls=tls, timeouts=TIMEOUTS)
    for one in store.owed()[:MAX_NOTES]:
        status = _deliver(webhook, client, one, store, clock, after)
        if not _is_taken(status) and status not in _REFUSALS:
            return  # the others would fare no better; the next look tries again


def _deliver(
    webhook: Webhook,
    client: HttpsClient,
    one: Owed,
    store: WatchStore,
    clock: Callable[[], datetime],
    after: Callable[[str], None],
) -> int:
    """The status of the last answer; 0: there was none."""
    status = 0
    for tried in range(TRIES):
        if tried:
            webhook.sleep(PAUSE_SECONDS * 2 ** (tried - 1))
        status = _post(webhook, client, one.body)
        if _is_taken(status):
            after("posted")
            store.note_attempt(one.number, delivered_at=clock())
            break
        store.note_attempt(one.number, delivered_at=None)
    return status


def _post(webhook: Webhook, client: HttpsClient, body: bytes) -> int:
    try:
        return client.post(webhook.path, body, max_bytes=_ANSWER_BYTES, headers=_JSON).status
    except LimpetError:
        return 0


def _is_taken(status: int) -> bool:
    return 200 <= status < 300
