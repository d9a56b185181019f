"""What a product can do, and whether it is well: asked of `app`."""

from typing import Annotated

from msgspec import Meta

from limpet.device.link.messages.terms import Access, Name, Text
from limpet.wire.codec import Message

__all__ = [
    "CallFunction",
    "CheckHealth",
    "DescribeFunctions",
    "Functions",
    "Health",
]


class DescribeFunctions(Message, frozen=True, kw_only=True, tag=True):
    """What can this product do? Answered by `Functions`."""


class CallFunction(Message, frozen=True, kw_only=True, tag=True):
    """Use one function; `arguments` is a JSON object. The app checks its declared access too."""

    name: Name
    access: Access
    arguments: Annotated[bytes, Meta(max_length=64 << 10)] = b"{}"


class CheckHealth(Message, frozen=True, kw_only=True, tag=True):
    """Does the product work? Answered by `Health`."""


class Functions(Message, frozen=True, kw_only=True, tag=True):
    """Answer to `DescribeFunctions`: a JSON array of limpet.device.app declarations."""

    json: bytes


class Health(Message, frozen=True, kw_only=True, tag=True):
    """Answer to `CheckHealth`."""

    healthy: bool
    reason: Text = ""
