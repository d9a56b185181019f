"""Asked of `accounts`: who may use the device besides its owner, and their second factor."""

from typing import Annotated

from msgspec import Meta

from limpet.device.link.messages.terms import Access, Name, Secret
from limpet.wire.codec import Message

__all__ = [
    "AcceptInvitation",
    "BeginSecondFactor",
    "ChangeAccess",
    "ConfirmSecondFactor",
    "DescribeAccount",
    "DisableSecondFactor",
    "InvitePerson",
    "ListPeople",
    "RemovePerson",
    "WithdrawInvitation",
]


class DescribeAccount(Message, frozen=True, kw_only=True, tag=True):
    """Who am I, and how is my account secured? Answered by `Answer`."""

    token: Secret


class ListPeople(Message, frozen=True, kw_only=True, tag=True):
    """The owner's view: people, and invitations that were not taken yet. Answered by `Answer`."""

    token: Secret


class InvitePerson(Message, frozen=True, kw_only=True, tag=True):
    """Make a one-time code with which somebody gets an account. Answered by `Answer`."""

    token: Secret
    access: Access


class AcceptInvitation(Message, frozen=True, kw_only=True, tag=True):
    """Become a person of this device by an invitation's code."""

    code: Secret
    name: Name
    password: Secret
    source: Name


class WithdrawInvitation(Message, frozen=True, kw_only=True, tag=True):
    """End an invitation that was not taken."""

    token: Secret
    invitation_id: Name


class ChangeAccess(Message, frozen=True, kw_only=True, tag=True):
    """Give another person another access; it counts from their next request on."""

    token: Secret
    name: Name
    access: Access


class RemovePerson(Message, frozen=True, kw_only=True, tag=True):
    """End a person's account with its sessions, tokens and known clients."""

    token: Secret
    name: Name


class BeginSecondFactor(Message, frozen=True, kw_only=True, tag=True):
    """Make a secret for one-time codes (RFC 6238); it counts once confirmed. `Answer`."""

    token: Secret
    password: Secret
    source: Name
    second: Secret = ""


class ConfirmSecondFactor(Message, frozen=True, kw_only=True, tag=True):
    """The first code of the new secret. Answered by `Answer` with the recovery codes."""

    token: Secret
    code: Annotated[str, Meta(max_length=16)]


class DisableSecondFactor(Message, frozen=True, kw_only=True, tag=True):
    """Do without one-time codes again."""

    token: Secret
    password: Secret
    source: Name
    second: Secret = ""
