"""Asked of `accounts`: claim, sessions, tokens, the owner's log, the factory's claim code."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from limpet.device.link.messages.terms import Access, Name, Secret
from limpet.wire.codec import Message

__all__ = [
    "Authenticate",
    "ChangePassword",
    "Claim",
    "ClaimCode",
    "CreateToken",
    "EventLog",
    "ListTokens",
    "Login",
    "Logout",
    "MintClaimCode",
    "Principal",
    "ReadEvents",
    "RevokeToken",
    "SessionOpened",
    "TokenList",
    "TokenRecord",
]


class Claim(Message, frozen=True, kw_only=True, tag=True):
    """Become the owner by the label's code."""

    code: Secret
    name: Name
    password: Secret
    source: Name  # the client's address, as the throttle counts it


class Login(Message, frozen=True, kw_only=True, tag=True):
    """Open a session by password. `known` is an earlier session's device cookie, or empty.

    `second` is a one-time or recovery code. `label` is the label's code: with the button
    pressed it takes an owner past what strangers have shut.
    """

    name: Name
    password: Secret
    source: Name
    known: Secret = ""
    second: Secret = ""
    label: Secret = ""


class Authenticate(Message, frozen=True, kw_only=True, tag=True):
    """Who is the bearer of this token?"""

    token: Secret


class Logout(Message, frozen=True, kw_only=True, tag=True):
    """End the session of this token."""

    token: Secret


class ChangePassword(Message, frozen=True, kw_only=True, tag=True):
    """Replace the caller's password; all other sessions of that account end."""

    token: Secret
    old: Secret
    new: Secret
    source: Name
    second: Secret = ""


class CreateToken(Message, frozen=True, kw_only=True, tag=True):
    """A named API token of at most the caller's access."""

    token: Secret
    label: Name
    access: Access
    lifetime_seconds: Annotated[int, Meta(ge=60, le=366 * 86400)]


class ListTokens(Message, frozen=True, kw_only=True, tag=True):
    """The caller's tokens, without their secrets."""

    token: Secret


class RevokeToken(Message, frozen=True, kw_only=True, tag=True):
    """End one of the caller's tokens."""

    token: Secret
    token_id: Name


class ReadEvents(Message, frozen=True, kw_only=True, tag=True):
    """The owner's security log, newest last, at most `limit` entries.

    `after` None: the newest; else the first of those whose number is greater.
    """

    token: Secret
    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    after: Annotated[int, Meta(ge=0, le=1 << 53)] | None = None


class SessionOpened(Message, frozen=True, kw_only=True, tag=True):
    """A new session; `known` is the device cookie that marks this client as known."""

    token: Secret
    known: Secret
    access: Access
    expires_at: datetime


class Principal(Message, frozen=True, kw_only=True, tag=True):
    """The bearer of a valid token."""

    name: Name
    access: Access
    token_id: Name


class TokenRecord(Message, frozen=True, kw_only=True):
    """One token, without its secret."""

    token_id: Name
    label: Name
    access: Access
    expires_at: datetime


class TokenList(Message, frozen=True, kw_only=True, tag=True):
    """Answer to `ListTokens`."""

    tokens: tuple[TokenRecord, ...]


class EventLog(Message, frozen=True, kw_only=True, tag=True):
    """Answer to `ReadEvents`; each line is a JSON object."""

    lines: tuple[str, ...]
    more: bool = False  # newer ones were left off


class MintClaimCode(Message, frozen=True, kw_only=True, tag=True):
    """Factory only: make the claim code. Answered by `ClaimCode`; only a verifier is kept."""


class ClaimCode(Message, frozen=True, kw_only=True, tag=True):
    """The one time that a code leaves the process which made it."""

    code: Secret
