"""What the local network is told of the device: asked of `announcer`."""

from typing import Annotated

from msgspec import Meta

from limpet.device.link.messages.terms import Name
from limpet.wire.codec import Message

__all__ = ["Announce"]


class Announce(Message, frozen=True, kw_only=True, tag=True):
    """Say this from now on, or, unless `on`, nothing at all."""

    on: bool
    instance: Name = "limpet"  # what a person reads in a list of devices
    host: Name = "limpet"  # the first label below `.local`
    model: Name = "limpet"
    listens_on: Annotated[str, Meta(max_length=64)] = ""  # an address; unspecified: all of them
    port: Annotated[int, Meta(ge=1, le=65535)] = 443
