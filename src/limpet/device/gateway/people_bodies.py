"""The JSON bodies about people and ownership: what is read and what is answered.

Owns their shape. Everything read is strict: an unknown field is refused.
"""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from limpet.device.gateway.bodies import AccessName, Name, Secret
from limpet.device.link.messages import ClaimState
from limpet.wire.codec import Message, Moment

__all__ = [
    "AccessBody",
    "AccountBody",
    "FirstCodeBody",
    "FreshCodeBody",
    "InvitationBody",
    "InvitationMadeBody",
    "InviteBody",
    "OwnershipBody",
    "PeopleBody",
    "PersonBody",
    "PersonNameBody",
    "RecoveryCodesBody",
    "SecretBody",
    "TakeoverBegunBody",
    "TakeoverBody",
    "TransferBody",
    "TransferMadeBody",
    "TransferStateBody",
]

Granted = Literal["viewer", "member"]
"""What a person can be given; a device has one owner."""


class AccountBody(Message, frozen=True, kw_only=True):
    """The caller's account; `access` is that of the token shown."""

    name: str
    access: AccessName
    second_factor: bool
    recovery_codes: int  # that are left


class PersonBody(Message, frozen=True, kw_only=True):
    """Somebody with an account here."""

    name: str
    access: AccessName
    second_factor: bool


class InvitationBody(Message, frozen=True, kw_only=True):
    """Somebody who is expected."""

    invitation_id: str
    access: Granted
    expires_at: datetime


class PeopleBody(Message, frozen=True, kw_only=True):
    """Everybody with an account, the owner first, and the invitations that wait."""

    people: tuple[PersonBody, ...]
    invitations: tuple[InvitationBody, ...]


class InviteBody(Message, frozen=True, kw_only=True):
    """What the invited person may do."""

    access: Granted


class InvitationMadeBody(Message, frozen=True, kw_only=True):
    """An invitation; `code` is shown this once."""

    invitation_id: str
    code: str
    access: Granted
    expires_at: datetime


class PersonNameBody(Message, frozen=True, kw_only=True):
    """Another person."""

    name: Name


class AccessBody(Message, frozen=True, kw_only=True):
    """Another person, and what that person may do from now on."""

    name: Name
    access: Granted


class SecretBody(Message, frozen=True, kw_only=True):
    """For an authenticator app, shown this once: base32 to type, and the URI of a QR code."""

    secret: str
    uri: str


class FirstCodeBody(Message, frozen=True, kw_only=True):
    """The code that the app shows now."""

    code: Annotated[str, Meta(max_length=16)]


class RecoveryCodesBody(Message, frozen=True, kw_only=True):
    """For a lost phone, each once; shown this once."""

    recovery_codes: tuple[str, ...]


class TransferBody(Message, frozen=True, kw_only=True):
    """The owner's password again; whether the data goes when the code is used."""

    password: Secret
    erase: bool = True
    second: Secret = ""


class TransferMadeBody(Message, frozen=True, kw_only=True):
    """A transfer; `code` is shown this once."""

    code: str
    until: datetime
    erase: bool


class TakeoverBody(Message, frozen=True, kw_only=True):
    """The label's code."""

    code: Secret


class TakeoverBegunBody(Message, frozen=True, kw_only=True):
    """How long the device must run, while its owner may object; also while it waits."""

    seconds_left: int


class TransferStateBody(Message, frozen=True, kw_only=True):
    """A transfer that was offered."""

    until: Moment
    erase: bool


class OwnershipBody(Message, frozen=True, kw_only=True):
    """Whose the device is, and what is under way."""

    state: ClaimState
    transfer: TransferStateBody | None
    takeover: TakeoverBegunBody | None
    button: bool


class FreshCodeBody(Message, frozen=True, kw_only=True):
    """The claim code for the next owner; shown this once."""

    code: str
