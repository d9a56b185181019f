"""The link target: frames of a role that was taken over, into the real `Channel`."""

import asyncio

from fuzz.memory import MemoryTransport
from limpet.device.link import messages as m
from limpet.device.link._frames import Frames
from limpet.device.link.channel import Channel
from limpet.device.link.permits import Role, is_permitted

__all__ = ["feed_link"]

_LOOP = asyncio.new_event_loop()
_PAIRS = ((Role.GATEWAY, Role.ACCOUNTS), (Role.APP, Role.GATEWAY), (Role.UPDATER, Role.KEEPER))


def feed_link(data: bytes) -> None:
    """The peer named by `data[0]` sends the rest: only permitted requests reach a handler."""
    if data:
        caller, callee = _PAIRS[data[0] % len(_PAIRS)]
        _LOOP.run_until_complete(_feed(data[1:], caller, callee))


async def _feed(data: bytes, caller: Role, callee: Role) -> None:
    served: list[m.Request] = []

    async def answer(peer: Role, request: m.Request) -> m.Reply:
        assert is_permitted(peer, callee, request), request
        served.append(request)
        return m.Done()

    channel = Channel(me=callee, peer=caller, answer=answer, violated=lambda *_: None)
    frames = Frames(channel._receive, asyncio.get_running_loop())
    frames.connection_made(MemoryTransport())
    at = 0
    while at < len(data) and frames.fault is None:
        room = frames.get_buffer(-1)
        assert len(room) > 0, "a frame for which there is no room"
        count = min(len(room), len(data) - at)
        room[:count] = data[at : at + count]
        frames.buffer_updated(count)
        at += count
    await asyncio.sleep(0)
    for task in list(channel._serving):
        await task
