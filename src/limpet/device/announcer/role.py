"""The announcer's process: confine, wait for what to say, say it, follow the networks.

Owns when something is said. Unless the gateway has said `on`, nothing is read and nothing is
sent, and soon there is no process. The sockets are opened before the confinement, as the
gateway's is; afterwards no other can be.
"""

import asyncio
import contextlib
import ipaddress
import random
import time
from collections.abc import Mapping

from limpet.device.announcer.network import Voice, open_voices, read_links
from limpet.device.announcer.responder import Link, Responder, Said, Service
from limpet.device.confine import confine
from limpet.device.link import messages as m
from limpet.device.link.bus import Bus
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.errors import Unavailable

__all__ = ["Announcer", "serve"]

LOOK_SECONDS = 15.0  # between two looks at the networks
REPEAT_SECONDS = 1.0  # RFC 6762, 8.3: at least two announcements, a second apart
HEARD_AT_ONCE = 32  # datagrams before other work gets its turn
MAX_DELAYED = 64  # answers that wait for their moment


async def serve(start: Start, bus: Bus) -> None:
    """Run the role until it is stopped."""
    voices, reason = open_voices()
    if reason:
        bus.log("not-announced", f"cannot speak multicast DNS: {reason}", level="warning")
    announcer = Announcer(bus, voices)
    bus.on(m.Announce, announcer.announce)
    await bus.ready(confine(Role.ANNOUNCER, start))
    try:
        await asyncio.gather(announcer.run(), bus.rest_when_idle(announcer.may_rest))
    finally:
        announcer.fall_silent()


class Announcer:
    """What is said now, and over what."""

    def __init__(self, bus: Bus, voices: Mapping[int, Voice]) -> None:
        self._bus, self._voices = bus, voices
        self._wanted = m.Announce(on=False)
        self._responder: Responder | None = None
        self._voice: Voice | None = None
        self._changed = asyncio.Event()
        self._delayed = 0
        self._draw = random.SystemRandom().random
        self._loop = asyncio.get_running_loop()

    async def announce(self, wanted: m.Announce) -> m.Reply:
        """Say this from now on; unless `on`, nothing more is said when this returns."""
        if wanted != self._wanted:
            self._wanted = wanted
            self._speak(self._links())
            self._changed.set()
        return m.Done()

    async def run(self) -> None:
        """Repeat an announcement as it must be, and follow the networks, until cancelled."""
        while True:
            self._changed.clear()
            if await self._is_changed_within(REPEAT_SECONDS):
                continue
            self._say_all()
            while not await self._is_changed_within(LOOK_SECONDS):
                if self._look():
                    break

    def may_rest(self) -> float | None:
        """For how long this process may end: until it is told to speak, unless it does."""
        return None if self._wanted.on else m.MAX_REST_SECONDS

    def fall_silent(self) -> None:
        """Take back what was said (RFC 6762, 10.1), leave the groups, listen no more."""
        if self._voice is None or self._responder is None:
            return
        for said in self._responder.announcements(goodbye=True):
            self._voice.say(said)
        self._loop.remove_reader(self._voice)
        with contextlib.suppress(Unavailable):
            self._voice.follow([])
        self._voice = self._responder = None

    def _links(self) -> list[Link]:
        return read_links(self._wanted.listens_on, self._voices) if self._wanted.on else []

    def _look(self) -> bool:
        """Follow the networks; whether they have changed."""
        links = self._links()
        if links == (list(self._responder.links) if self._responder else []):
            return False
        self._speak(links)
        return True

    def _speak(self, links: list[Link]) -> None:
        self.fall_silent()
        if not links:
            return
        wanted = self._wanted
        voice = self._voices[ipaddress.ip_address(wanted.listens_on).version]
        try:
            voice.follow(links)
        except Unavailable as error:
            self._bus.log("not-announced", error.message, level="warning")
            return
        voice.forget_what_was_said()
        self._voice = voice
        service = Service(wanted.instance, wanted.host, wanted.model, wanted.port)
        self._responder = Responder(service, links)
        self._loop.add_reader(self._voice, self._listen)
        self._say_all()

    def _say_all(self) -> None:
        if self._voice is not None and self._responder is not None:
            for said in self._responder.announcements():
                self._voice.say(said)

    def _listen(self) -> None:
        for _ in range(HEARD_AT_ONCE):
            if self._voice is None or self._responder is None:
                return
            heard = self._voice.hear()
            if heard is None:
                return
            said = self._responder.answer(heard, now=time.monotonic(), draw=self._draw())
            if said is None:
                continue
            if said.delay and self._delayed < MAX_DELAYED:
                self._delayed += 1
                self._loop.call_later(said.delay, self._say_late, self._voice, said)
            else:
                self._voice.say(said)

    def _say_late(self, voice: Voice, said: Said) -> None:
        self._delayed -= 1
        if voice is self._voice:  # it may have been told to be silent meanwhile
            voice.say(said)

    async def _is_changed_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        return self._changed.is_set()
