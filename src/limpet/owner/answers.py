"""What a device's API answers, as types.

Owns the reading of answers. A field that a newer device adds is left aside; what
is needed must be there.
"""

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from limpet.errors import Rejected

__all__ = [
    "AccountAnswer",
    "AnnouncementAnswer",
    "DeviceIdentity",
    "EventsAnswer",
    "FreshCodeAnswer",
    "FunctionAnswer",
    "HouseholdAnswer",
    "HouseholdRequestAnswer",
    "InvitationAnswer",
    "NotificationAnswer",
    "NotificationsAnswer",
    "OwnershipAnswer",
    "PeopleAnswer",
    "PersonAnswer",
    "Policy",
    "ProblemAnswer",
    "ProxyAnswer",
    "RecoveryAnswer",
    "SecretAnswer",
    "SessionAnswer",
    "SupportAnswer",
    "TakeoverAnswer",
    "TokenAnswer",
    "TransferAnswer",
    "UpdateAnswer",
    "WindowAnswer",
    "parse_answer",
]

T = TypeVar("T")


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Unknown fields are ignored."""


class SupportAnswer(_Answer, frozen=True):
    """Until when the device gets updates, and what follows."""

    until: str | None = None
    over: bool = False
    text: str = ""


class DeviceIdentity(_Answer, frozen=True):
    """Who a device says it is (draft-moore, 5.3)."""

    maker: str
    model: str
    hardware_revision: str
    firmware_revision: str
    serial: str
    claimed: bool
    support: SupportAnswer = SupportAnswer()
    security_contact: Any = None


class SessionAnswer(_Answer, frozen=True):
    """A session; the secrets are not in its representation."""

    token: str
    known: str = ""
    access: str = ""
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"SessionAnswer(access={self.access!r}, token=<secret>)"


class FunctionAnswer(_Answer, frozen=True):
    """One function of the product; `arguments` and `result` are JSON Schemas."""

    name: str
    kind: str
    access: str
    summary: str
    arguments: dict[str, Any] = {}
    result: dict[str, Any] = {}
    unit: str = ""


class WindowAnswer(_Answer, frozen=True):
    """When updates may be installed; Monday is 0."""

    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    start_minute: int = 0
    end_minute: int = 1440
    zone: str = "UTC"


class ProxyAnswer(_Answer, frozen=True):
    """The proxy of the owner's network; the device keeps a password that is None here."""

    host: str
    port: int
    user: str = ""
    password: str | None = None


class Policy(_Answer, frozen=True):
    """The owner's choice about updates."""

    automatic: bool = True
    ask: bool = False
    window: WindowAnswer = WindowAnswer()
    interval_seconds: int | None = None
    metered: bool = False
    bandwidth: int | None = None
    proxy: ProxyAnswer | None = None


class HeldAnswer(_Answer, frozen=True):
    """Why a release waits, since and until when."""

    reason: str
    text: str
    since: datetime
    until: datetime | None = None
    consent_ends: bool | None = None  # None: firmware of before does not say


class FetchingAnswer(_Answer, frozen=True):
    """How far a download is, in bytes, and whether it is a delta or the whole image."""

    way: str
    done: int
    size: int


class UpdateAnswer(_Answer, frozen=True):
    """Where the device's updates stand."""

    policy: Policy
    running: str
    available: str = ""
    state: str = "idle"
    reason: str = ""
    held: HeldAnswer | None = None
    fetching: FetchingAnswer | None = None
    postponed_until: datetime | None = None
    hold_until: datetime | None = None
    last_check: datetime | None = None
    next_check: datetime | None = None
    support_until: datetime | None = None
    support_over: bool = False
    support_after: str = ""
    support_notice: str = ""
    support_text: str = ""


class TokenAnswer(_Answer, frozen=True):
    """One API token, without its secret."""

    token_id: str
    label: str
    access: str
    expires_at: datetime


class NotificationAnswer(_Answer, frozen=True):
    """One thing that the product tells its owner."""

    id: int
    key: str
    text: str
    level: str
    raised_at: datetime
    count: int = 1
    acknowledged: bool = False


class NotificationsAnswer(_Answer, frozen=True):
    """The product's notifications, newest last."""

    notifications: tuple[NotificationAnswer, ...]


class EventsAnswer(_Answer, frozen=True):
    """The owner's security log, newest last."""

    lines: tuple[str, ...]  # each a JSON object
    more: bool = False


class PersonAnswer(_Answer, frozen=True):
    """Somebody with an account on the device."""

    name: str
    access: str
    second_factor: bool = False


class InvitationAnswer(_Answer, frozen=True):
    """An invitation; `code` only where it was just made."""

    invitation_id: str
    access: str
    expires_at: datetime
    code: str = ""


class PeopleAnswer(_Answer, frozen=True):
    """Who may use the device, and who is invited."""

    people: tuple[PersonAnswer, ...]
    invitations: tuple[InvitationAnswer, ...] = ()


class TransferAnswer(_Answer, frozen=True):
    """A transfer that waits to be accepted; `code` only where it was just made."""

    until: datetime
    erase: bool
    code: str = ""


class TakeoverAnswer(_Answer, frozen=True):
    """For how long the device must still run before it is free."""

    seconds_left: int


class OwnershipAnswer(_Answer, frozen=True):
    """Whether the device is changing hands."""

    state: str
    transfer: TransferAnswer | None = None
    takeover: TakeoverAnswer | None = None
    button: bool = False


class AccountAnswer(_Answer, frozen=True):
    """The own account."""

    name: str
    access: str
    second_factor: bool = False
    recovery_codes: int = 0


class SecretAnswer(_Answer, frozen=True):
    """A secret for an authenticator app."""

    secret: str
    uri: str


class RecoveryAnswer(_Answer, frozen=True):
    """Codes for a lost phone."""

    recovery_codes: tuple[str, ...]


class FreshCodeAnswer(_Answer, frozen=True):
    """The claim code that a reset made."""

    code: str


class HouseholdRequestAnswer(_Answer, frozen=True):
    """A certificate request for the device's household key."""

    csr_pem: str


class HouseholdAnswer(_Answer, frozen=True):
    """The certificate that the device shows to browsers, and the pins of what it shows."""

    installed: bool
    hostnames: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    not_after: datetime | None = None
    household: str = ""
    pin: str = ""
    operational_pin: str = ""
    pinned_name: str = ""


class AnnouncementAnswer(_Answer, frozen=True):
    """Whether the device tells its local network where it is, and as what."""

    enabled: bool
    declared: bool = True
    name: str = ""
    host: str = ""


class ProblemAnswer(_Answer, frozen=True):
    """A problem document (RFC 9457)."""

    reason: str = ""
    detail: str = ""
    status: int = 0


def parse_answer(body: bytes, kind: type[T]) -> T:
    """The `kind` in `body`. Raises `Rejected("malformed")`."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(
            "malformed",
            f"the device's answer is not understood: {error}",
            hint="is this program older than the device's firmware?",
        ) from error
