"""Sessions, API tokens and device cookies: pure functions over the records.

Owns lifetimes and bounds. A secret is 256 random bits, given out once; the
records hold its SHA-256 (no slow hash is needed for a random secret).
"""

import hashlib
import secrets
from dataclasses import dataclass

import msgspec

from limpet.crypto.randomness import new_token
from limpet.device.accounts.store import KnownClient, Records, StoredToken
from limpet.device.link.messages import Access
from limpet.errors import Rejected

__all__ = [
    "Opened",
    "add_api_token",
    "find_known",
    "only",
    "open_session",
    "remove_token",
    "tokens_of",
    "touched",
    "verify_token",
    "without",
]

SESSION_IDLE_SECONDS = 12 * 3600.0
SESSION_SECONDS = 30 * 86400.0  # NIST SP 800-63B-4, 2.1.3: at most 30 days at AAL1
MAX_SESSIONS = 16  # per account; the one used longest ago is closed for a new one
MAX_API_TOKENS = 16  # per account; a new one is refused
MAX_KNOWN_CLIENTS = 16  # per account; the one used longest ago is forgotten


@dataclass(frozen=True, slots=True)
class Opened:
    """The records with a new token in them, and its secret."""

    records: Records
    token: StoredToken
    secret: str
    known_secret: str = ""


def verify_token(records: Records, secret: str, *, now: float) -> StoredToken:
    """The valid token with this secret; its access is what its account allows now.

    A session is its person, whose access may rise as well; an API token keeps what it was given.

    Raises `Rejected("bad-token")` for a secret that is unknown, expired or idle too long.
    """
    digest = _digest(secret)
    token = next((token for token in records.tokens if token.digest == digest), None)
    if token is None or not _is_alive(token, now):
        raise Rejected("bad-token", "log in again")
    account = next((one for one in records.accounts if one.name == token.account), None)
    if account is None:
        raise Rejected("bad-token", "log in again")
    access = account.access if token.session else min(token.access, account.access)
    return msgspec.structs.replace(token, access=access)


def find_known(records: Records, account: str, secret: str) -> KnownClient | None:
    """The known client of `account` whose cookie this is."""
    if not secret:
        return None
    digest = _digest(secret)
    matching = (one for one in records.known if one.digest == digest and one.account == account)
    return next(matching, None)


def open_session(
    records: Records, account: str, access: Access, *, known_secret: str, now: float
) -> Opened:
    """A new session of `account`, and a device cookie (the one shown, if it is valid)."""
    secret = new_token()
    token = _make(secret, account, access, label="session", lifetime=SESSION_SECONDS, now=now)
    token = msgspec.structs.replace(token, session=True)
    alive = [one for one in records.tokens if _is_alive(one, now)]
    own = [one for one in alive if one.session and one.account == account]
    oldest = sorted(own, key=lambda one: one.used)[: max(0, len(own) - (MAX_SESSIONS - 1))]
    tokens = (*(one for one in alive if one not in oldest), token)
    client = find_known(records, account, known_secret)
    if client is None:
        known_secret = new_token()
        client = KnownClient(
            client_id=_new_id(), digest=_digest(known_secret), account=account, used=now
        )
    client = msgspec.structs.replace(client, used=now)
    changed = msgspec.structs.replace(
        records, tokens=tokens, known=_with_known(records.known, client)
    )
    return Opened(changed, token, secret, known_secret)


def add_api_token(
    records: Records,
    caller: StoredToken,
    *,
    label: str,
    access: Access,
    lifetime: float,
    now: float,
) -> Opened:
    """A named token of at most the caller's access, and no longer life if that is a token too.

    Raises `Rejected("access-too-high" | "lifetime-too-long" | "too-many-tokens" | "bad-label")`.
    """
    if access > caller.access or access is Access.PUBLIC:
        raise Rejected("access-too-high", "a token cannot do more than who makes it, nor nothing")
    if not caller.session and now + lifetime > caller.expires:
        # Else a token that was stolen once could renew itself for ever.
        raise Rejected("lifetime-too-long", "a token makes none that outlives it; log in for that")
    if not label.isprintable() or not label.strip():
        raise Rejected("bad-label", "a label has printable characters")
    alive = tuple(one for one in records.tokens if _is_alive(one, now))
    own = (one for one in alive if not one.session and one.account == caller.account)
    if sum(1 for _ in own) >= MAX_API_TOKENS:
        raise Rejected("too-many-tokens", f"at most {MAX_API_TOKENS} tokens; revoke one")
    secret = new_token()
    token = _make(secret, caller.account, access, label=label, lifetime=lifetime, now=now)
    changed = msgspec.structs.replace(records, tokens=(*alive, token))
    return Opened(changed, token, secret)


def tokens_of(records: Records, caller: StoredToken, *, now: float) -> tuple[StoredToken, ...]:
    """The living tokens and sessions of the caller's account."""
    return tuple(
        one for one in records.tokens if one.account == caller.account and _is_alive(one, now)
    )


def touched(records: Records, token: StoredToken, *, now: float) -> tuple[StoredToken, ...]:
    """The tokens with the last use of one set to `now`."""
    return tuple(
        msgspec.structs.replace(one, used=now) if one.token_id == token.token_id else one
        for one in records.tokens
    )


def remove_token(records: Records, caller: StoredToken, token_id: str) -> tuple[StoredToken, ...]:
    """The tokens without one of the caller's account.

    Raises `Rejected("no-such-token" | "access-too-low")`: a token for reading, given to a
    display, must not end its owner's sessions.
    """
    wanted = (token_id, caller.account)
    ended = next((one for one in records.tokens if (one.token_id, one.account) == wanted), None)
    if ended is None:
        raise Rejected("no-such-token", "there is no such token")
    if ended.access > caller.access:
        raise Rejected("access-too-low", "this token may do more than yours: log in to end it")
    return tuple(one for one in records.tokens if one is not ended)


def without(records: Records, account: str) -> Records:
    """The records without anything that lets `account` in; the account itself stays."""
    return msgspec.structs.replace(
        records,
        tokens=tuple(one for one in records.tokens if one.account != account),
        known=tuple(one for one in records.known if one.account != account),
    )


def only(records: Records, caller: StoredToken) -> Records:
    """The records in which nothing lets the caller's account in but the token it shows."""
    kept = without(records, caller.account)
    own = tuple(one for one in records.tokens if one.token_id == caller.token_id)
    return msgspec.structs.replace(kept, tokens=(*kept.tokens, *own))


def _make(
    secret: str, account: str, access: Access, *, label: str, lifetime: float, now: float
) -> StoredToken:
    return StoredToken(
        token_id=_new_id(),
        digest=_digest(secret),
        account=account,
        access=access,
        label=label,
        session=False,
        created=now,
        expires=now + lifetime,
        used=now,
    )


def _with_known(known: tuple[KnownClient, ...], client: KnownClient) -> tuple[KnownClient, ...]:
    others = [one for one in known if one.client_id != client.client_id]
    same = sorted(
        (one for one in others if one.account == client.account), key=lambda one: one.used
    )
    dropped = {one.client_id for one in same[: max(0, len(same) - (MAX_KNOWN_CLIENTS - 1))]}
    return (*(one for one in others if one.client_id not in dropped), client)


def _is_alive(token: StoredToken, now: float) -> bool:
    idle = token.session and now - token.used > SESSION_IDLE_SECONDS
    return now < token.expires and not idle


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _new_id() -> str:
    return secrets.token_hex(8)
