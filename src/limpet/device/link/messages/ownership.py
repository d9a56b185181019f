"""Asked of `accounts`: whose the device is, and how it becomes somebody else's."""

from limpet.device.link.messages.terms import Name, Secret
from limpet.wire.codec import Message

__all__ = [
    "AcceptTransfer",
    "CancelTakeover",
    "CancelTransfer",
    "DescribeAccounts",
    "DescribeOwnership",
    "FactoryReset",
    "OfferTransfer",
    "PressButton",
    "TakeOver",
]


class DescribeAccounts(Message, frozen=True, kw_only=True, tag=True):
    """Which claim state is the device in? Answered by `Answer` holding the state's value."""


class DescribeOwnership(Message, frozen=True, kw_only=True, tag=True):
    """The state, and what is under way. Answered by `Answer`; it names no person."""


class OfferTransfer(Message, frozen=True, kw_only=True, tag=True):
    """Make a code with which somebody else becomes the owner. Answered by `Answer`."""

    token: Secret
    password: Secret
    source: Name
    erase: bool = True  # the data, when the code is used
    second: Secret = ""


class CancelTransfer(Message, frozen=True, kw_only=True, tag=True):
    """The code counts no more."""

    token: Secret


class AcceptTransfer(Message, frozen=True, kw_only=True, tag=True):
    """Become the owner by a transfer's code; whoever was here before has lost access by then."""

    code: Secret
    name: Name
    password: Secret
    source: Name


class TakeOver(Message, frozen=True, kw_only=True, tag=True):
    """Ask for a device whose owner is gone: by the label's code, with the button pressed."""

    code: Secret
    source: Name


class CancelTakeover(Message, frozen=True, kw_only=True, tag=True):
    """The owner objects."""

    token: Secret


class FactoryReset(Message, frozen=True, kw_only=True, tag=True):
    """Destroy credentials and the owner's data; the caller proves the owner's password.

    Answered by `ClaimCode`: a fresh code for the next owner.
    """

    token: Secret
    password: Secret
    source: Name
    second: Secret = ""


class PressButton(Message, frozen=True, kw_only=True, tag=True):
    """Supervisor only: somebody's hand is at the device."""
