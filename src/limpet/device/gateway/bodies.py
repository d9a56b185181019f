"""The JSON bodies of the device's API: what is read and what is answered.

Owns their shape. Everything read is strict: an unknown field is refused.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta

from limpet.device.link.entropy import RandomnessReport
from limpet.device.link.messages import Access, Fetching, Held, Notice, UpdatePolicy
from limpet.wire.codec import Message

__all__ = [
    "AccessName",
    "AnnouncementBody",
    "AnnouncementSettingBody",
    "ClaimBody",
    "DeviceBody",
    "Empty",
    "EventsBody",
    "FunctionBody",
    "HouseholdBody",
    "HouseholdChainBody",
    "HouseholdRequestBody",
    "IdentityBody",
    "LoginBody",
    "MechanismBody",
    "NotificationsBody",
    "PasswordBody",
    "ResetBody",
    "SessionBody",
    "SupportBody",
    "TokenBody",
    "TokenMadeBody",
    "TokenRequestBody",
    "UpdateBody",
    "access_name",
]

AccessName = Literal["viewer", "member", "owner"]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Secret = Annotated[str, Meta(max_length=256)]


class Empty(Message, frozen=True, kw_only=True):
    """Nothing: `{}`."""


class ClaimBody(Message, frozen=True, kw_only=True):
    """The code of a label, an invitation or a transfer, and the account that it makes."""

    code: Secret
    name: Name
    password: Secret


class LoginBody(Message, frozen=True, kw_only=True):
    """`known` is what an earlier session of this client was given; browsers send it as cookie.

    `second` is a one-time or recovery code, where the account asks for one. `label` is the
    label's code, for an owner at the device whom strangers' guesses keep out.
    """

    name: Name
    password: Secret
    known: Secret = ""
    second: Secret = ""
    label: Secret = ""


class SessionBody(Message, frozen=True, kw_only=True):
    """A session; keep `token` and `known` secret."""

    token: str
    known: str
    access: AccessName
    expires_at: datetime


class PasswordBody(Message, frozen=True, kw_only=True):
    """The old password and the new."""

    old: Secret
    new: Secret
    second: Secret = ""


class ResetBody(Message, frozen=True, kw_only=True):
    """The caller's password again, and the second factor where there is one."""

    password: Secret
    second: Secret = ""


class TokenRequestBody(Message, frozen=True, kw_only=True):
    """An API token of at most the caller's access."""

    label: Name
    access: AccessName
    lifetime_seconds: Annotated[int, Meta(ge=60, le=366 * 86400)] = 90 * 86400


class TokenBody(Message, frozen=True, kw_only=True):
    """A session or API token, without its secret."""

    token_id: str
    label: str
    access: AccessName
    expires_at: datetime


class TokenMadeBody(Message, frozen=True, kw_only=True):
    """A new API token; `token` is shown this once."""

    token_id: str
    token: str
    label: str
    access: AccessName
    expires_at: datetime


class SupportBody(Message, frozen=True, kw_only=True):
    """The support commitment (draft-moore, 5.1)."""

    until: date
    over: bool
    text: str


class IdentityBody(Message, frozen=True, kw_only=True):
    """What the device is (draft-moore, 5.3); public."""

    maker: str
    model: str
    hardware_revision: str
    firmware_revision: str
    serial: str
    claimed: bool
    support: SupportBody
    security_contact: tuple[str, ...]


class HouseholdBody(Message, frozen=True, kw_only=True):
    """The certificate that browsers are shown; `pin` and times are empty where there is none.

    Pins are the SHA-256 of a public key in base64 (RFC 7469, 2.4).
    """

    installed: bool
    hostnames: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None
    household: str = ""  # the name of the authority
    pin: str = ""
    operational_pin: str = ""  # of what clients are shown that ask for `pinned_name`
    pinned_name: str = ""


class HouseholdRequestBody(Message, frozen=True, kw_only=True):
    """A certificate request (PKCS#10) for the device's household key."""

    csr_pem: str


class HouseholdChainBody(Message, frozen=True, kw_only=True):
    """The certificate and its household's authority."""

    chain_pem: Annotated[str, Meta(max_length=16 << 10)]


class AnnouncementSettingBody(Message, frozen=True, kw_only=True):
    """Whether the device tells the local network where it is."""

    enabled: bool


class AnnouncementBody(Message, frozen=True, kw_only=True):
    """The setting; `declared`: whether the product can announce at all."""

    enabled: bool
    declared: bool
    name: str  # what lists of devices show
    host: str


class UpdateBody(Message, frozen=True, kw_only=True):
    """Where updates stand, and the owner's policy."""

    policy: UpdatePolicy
    running: str
    slot: Literal["a", "b"]
    available: str
    state: str
    reason: str
    held: Held | None
    fetching: Fetching | None
    postponed_until: datetime | None
    hold_until: datetime | None
    last_check: datetime | None
    next_check: datetime | None
    support_until: datetime | None
    support_over: bool
    support_after: str
    support_notice: str
    support_text: str


class PostponeBody(Message, frozen=True, kw_only=True):
    """For how many days from now no update is installed; 0 ends it."""

    days: Annotated[int, Meta(ge=0, le=365)]


class FunctionBody(Message, frozen=True, kw_only=True):
    """One function of the product, as declared by its app."""

    name: str
    kind: Literal["reading", "action"]
    access: AccessName
    summary: str
    arguments: dict[str, Any]
    result: dict[str, Any]
    unit: str = ""


class NotificationsBody(Message, frozen=True, kw_only=True):
    """What the product tells its owner: at most 50, newest last."""

    notifications: tuple[Notice, ...]


class EventsBody(Message, frozen=True, kw_only=True):
    """The owner's security log: each line a JSON object, sealed by the next."""

    lines: tuple[str, ...]
    more: bool = False  # newer ones follow: ask again, after the last number


class MechanismBody(Message, frozen=True, kw_only=True):
    """One mechanism that holds a role within its bounds, or why it does not."""

    mechanism: str
    in_force: bool
    detail: str


class AlgorithmsBody(Message, frozen=True, kw_only=True):
    """The suite in force, and what the linked library makes of it."""

    suite: str
    version: int
    tls_library: str
    tls_groups: tuple[str, ...]  # offered and accepted, in order of preference
    tls_groups_missing: tuple[str, ...]  # of the suite, and unknown to this library
    firmware_signatures: tuple[tuple[str, ...], ...]  # families; one of each is needed


class DeviceBody(Message, frozen=True, kw_only=True):
    """The running device, for its owner."""

    firmware_revision: str
    slot: str
    algorithms: AlgorithmsBody
    confinement: dict[str, tuple[MechanismBody, ...]]  # by role; empty while one starts
    links: dict[str, tuple[str, ...]]  # "caller>callee": requests
    randomness: RandomnessReport | None = None  # none until the supervisor has tried its source


def access_name(access: Access) -> AccessName:
    """The word for an access level that a token can have."""
    names: Mapping[Access, AccessName] = {
        Access.VIEWER: "viewer",
        Access.MEMBER: "member",
        Access.OWNER: "owner",
    }
    return names[access]
