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
    "DescribeAccounts",
    "EventLog",
    "FactoryReset",
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
    """Open a session by password. `known` is an earlier session's device cookie, or empty."""

    name: Name
    password: Secret
    source: Name
    known: Secret = ""


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


class DescribeAccounts(Message, frozen=True, kw_only=True, tag=True):
    """Which claim state is the device in? Answered by `Answer` holding the state's value."""


class FactoryReset(Message, frozen=True, kw_only=True, tag=True):
    """Destroy credentials and the owner's data; the caller proves the owner's password."""

    token: Secret
    password: Secret
    source: Name


class ReadEvents(Message, frozen=True, kw_only=True, tag=True):
    """The owner's security log, newest last, at most `limit` entries."""

    token: Secret
    limit: Annotated[int, Meta(ge=1, le=500)] = 100


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


class MintClaimCode(Message, frozen=True, kw_only=True, tag=True):
    """Factory only: make the claim code. Answered by `ClaimCode`; only a verifier is kept."""


class ClaimCode(Message, frozen=True, kw_only=True, tag=True):
    """The one time that the code leaves the process which made it."""

    code: Secret
