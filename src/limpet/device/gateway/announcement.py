"""The owner's word on what the local network is told, and the telling of it to the announcer.

Owns `announcement.json` in the gateway's directory: a factory reset makes it the default again,
which is to announce, if the product declares it. Tells the announcer what may be known by anybody
in the network, who can ask the device for the same without a word of authentication: its model,
its serial number, its port; nothing of its owner, nor whether it has one.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from limpet.device.gateway.bodies import AnnouncementSettingBody
from limpet.device.gateway.facts import Facts
from limpet.device.link import messages as m
from limpet.errors import LimpetError
from limpet.product import announces
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import decode_json, encode_json

__all__ = ["Announcement", "describe"]

FILE = "announcement.json"
MAX_BYTES = 1024
REPEAT_SECONDS = 20.0  # the announcer may have been started again
LABEL_BYTES = 63  # RFC 1035, 2.3.4


def describe(facts: Facts, *, listens_on: str, port: int) -> m.Announce:
    """What there is to say of the device."""
    serial = facts.identity.serial
    # The end of the serial number tells two of a kind apart, as on their labels.
    name = facts.product.model.display_name.encode()[: LABEL_BYTES - 5].decode("utf-8", "ignore")
    return m.Announce(
        on=True,
        instance=f"{name} {serial[-4:]}",
        host=serial.lower(),
        model=facts.identity.model,
        listens_on=listens_on,
        port=port,
    )


@dataclass(slots=True)
class Announcement:
    """The setting; `tell` asks the announcer."""

    directory: Path
    facts: Facts
    tell: Callable[[m.Announce], Awaitable[m.Reply]]
    content: m.Announce = field(default_factory=lambda: m.Announce(on=False))
    _is_silent: bool = False  # it has been told so

    @property
    def declared(self) -> bool:
        """Whether the product has an announcer at all."""
        return announces(self.facts.product)

    @property
    def enabled(self) -> bool:
        """The owner's choice; a damaged one counts as off, the quieter of the two."""
        path = self.directory / FILE
        if not self.declared:
            return False
        if not path.exists():
            return True
        with contextlib.suppress(LimpetError):
            data = read_bounded(path, max_bytes=MAX_BYTES)
            return decode_json(data, AnnouncementSettingBody, max_bytes=MAX_BYTES).enabled
        return False

    async def choose(self, *, enabled: bool) -> None:
        """Durable on return, and told to the announcer if it is there."""
        write_atomic(self.directory / FILE, encode_json(AnnouncementSettingBody(enabled=enabled)))
        self._is_silent = await self._tell_now() and not enabled

    async def run(self, content: m.Announce) -> None:
        """Tell it until cancelled: again and again that it is to speak, since it may have been
        started anew, but once only that it is not, since it rests then. Returns where no
        announcement is declared."""
        self.content = content
        while self.declared:
            enabled = self.enabled
            if enabled or not self._is_silent:
                self._is_silent = await self._tell_now() and not enabled
            await asyncio.sleep(REPEAT_SECONDS)

    async def _tell_now(self) -> bool:
        """Whether it has heard."""
        with contextlib.suppress(LimpetError):
            said = msgspec.structs.replace(self.content, on=self.enabled)
            return isinstance(await self.tell(said), m.Done)
        return False
