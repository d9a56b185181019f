"""Telling another service of a new entry: one POST of JSON each, over TLS only.

Owns the note's form and its delivery. A note counts as delivered once a 2xx came back; it is tried
a few times at each look, and comes at least once: whoever takes it knows it again by its id.
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
_ANSWER_BYTES = 64 << 10
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
    client = HttpsClient(webhook.origin, tls=tls, timeouts=Timeouts(connect=5.0, total=10.0))
    for one in store.owed()[:MAX_NOTES]:
        if not _deliver(webhook, client, one, store, clock, after):
            return  # the others would fare no better; the next look tries again


def _deliver(
    webhook: Webhook,
    client: HttpsClient,
    one: Owed,
    store: WatchStore,
    clock: Callable[[], datetime],
    after: Callable[[str], None],
) -> bool:
    for tried in range(TRIES):
        if tried:
            webhook.sleep(PAUSE_SECONDS * 2 ** (tried - 1))
        if _post(webhook, client, one.body):
            after("posted")
            store.note_attempt(one.number, delivered_at=clock())
            return True
        store.note_attempt(one.number, delivered_at=None)
    return False


def _post(webhook: Webhook, client: HttpsClient, body: bytes) -> bool:
    try:
        answer = client.post(webhook.path, body, max_bytes=_ANSWER_BYTES, headers=_JSON)
    except LimpetError:
        return False
    return 200 <= answer.status < 300
