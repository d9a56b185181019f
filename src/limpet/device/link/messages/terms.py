"""Words that several topics share: bounded texts, access levels, the claim state, plain replies."""

import enum
from typing import Annotated

from msgspec import Meta

from limpet.wire.codec import Message

__all__ = [
    "MESSAGE_BYTES",
    "Access",
    "Answer",
    "ClaimState",
    "Done",
    "Name",
    "Refused",
    "Secret",
    "Text",
]

MESSAGE_BYTES = 256 << 10
"""Largest message on a link, as MessagePack."""

Text = Annotated[str, Meta(max_length=1024)]
Secret = Annotated[str, Meta(max_length=256)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]


class Access(enum.IntEnum):
    """What a caller may do; each level includes those below it."""

    PUBLIC = 0  # nobody is asked
    VIEWER = 1  # reads
    MEMBER = 2  # uses the functions
    OWNER = 3  # people, tokens, updates, reset


class ClaimState(enum.Enum):
    """The life of a device's ownership."""

    FACTORY = "factory"  # no identity yet
    UNCLAIMED = "unclaimed"  # only identity, claim and security contact answer
    CLAIMED = "claimed"
    OFFERED = "offered"  # being transferred: the owner has handed out a code
    CONTESTED = "contested"  # being transferred without the owner, who can still object
    RESETTING = "resetting"  # accounts are gone, the owner's data is being erased

    @property
    def has_owner(self) -> bool:
        """Whether somebody owns the device now."""
        return self in (ClaimState.CLAIMED, ClaimState.OFFERED, ClaimState.CONTESTED)


class Done(Message, frozen=True, kw_only=True, tag=True):
    """It happened, and is durable."""


class Refused(Message, frozen=True, kw_only=True, tag=True):
    """It did not happen. `reason` is a stable kebab-case word."""

    reason: Name
    message: Text = ""
    retry_after_seconds: float = 0.0


class Answer(Message, frozen=True, kw_only=True, tag=True):
    """A JSON value."""

    json: bytes
