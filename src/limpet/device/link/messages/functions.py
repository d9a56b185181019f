"""What a product can do, and whether it is well: asked of `app`."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from limpet.device.link.messages.terms import Access, Name, Text
from limpet.wire.codec import Message

__all__ = [
    "AcknowledgeNotice",
    "CallFunction",
    "CheckHealth",
    "DescribeFunctions",
    "Functions",
    "Health",
    "ListNotices",
    "Notice",
    "Notices",
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


class ListNotices(Message, frozen=True, kw_only=True, tag=True):
    """What has the product to tell its owner? Answered by `Notices`."""


class AcknowledgeNotice(Message, frozen=True, kw_only=True, tag=True):
    """The owner has seen this notice. Answered by `Done`, or `Refused("no-such-notice")`."""

    id: Annotated[int, Meta(ge=1)]


class Notice(Message, frozen=True, kw_only=True):
    """One thing that the product tells its owner; `count` is how often it was said."""

    id: int
    key: Name
    text: Annotated[str, Meta(max_length=300)]
    level: Literal["info", "warning", "error"]
    raised_at: datetime
    count: int = 1
    acknowledged: bool = False


class Notices(Message, frozen=True, kw_only=True, tag=True):
    """Answer to `ListNotices`, newest last."""

    notices: tuple[Notice, ...]
