"""One link between two roles: framed MessagePack over a stream socket, both ways at once.

Owns request ids, and every bound of a link but the size of a frame (`_frames`). Decides
nothing about permission (`limpet.device.link.permits` does) and knows no role's work.

Both sides may ask at any time; replies carry the id of their request. What a peer sends
is bounded before it is decoded; a request that cannot be decoded or is not permitted ends
the link and is told to `violated`.
"""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Awaitable, Callable

import msgspec

from limpet.device.link import messages as m
from limpet.device.link._frames import Frames, Kind
from limpet.device.link.permits import PERMITS, Role
from limpet.errors import Misuse, Rejected, Unavailable

__all__ = ["ANSWER_SECONDS", "MAX_ASKED", "MAX_SERVED", "Answerer", "Channel"]

ANSWER_SECONDS = 10.0
"""How long a caller waits for a reply unless it says otherwise."""

MAX_ASKED = 64
"""Requests of ours that may wait for a reply at once; more are `Unavailable`."""

MAX_SERVED = 64
"""Requests of the peer that are served at once; more are `Refused("busy")`."""

TEXT_CHARACTERS = 1024  # of messages.Text

_ENCODER = msgspec.msgpack.Encoder()
_REQUESTS = msgspec.msgpack.Decoder(m.Request)
_REPLIES = msgspec.msgpack.Decoder(m.Reply)
_LIBRARY_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Answerer = Callable[[Role, m.Request], Awaitable[m.Reply]]
"""What a role does with a permitted request of `caller`."""


class Channel:
    """This role's end of the link to `peer`.

    `answer` serves the peer's requests; `violated(peer, request)` is called once when the
    peer sent what it may not, after which the link is closed.
    """

    def __init__(
        self,
        *,
        me: Role,
        peer: Role,
        answer: Answerer,
        violated: Callable[[Role, str], None],
    ) -> None:
        self.peer = peer
        self._me = me
        self._answer = answer
        self._violated = violated
        self._may_ask = PERMITS.get((me, peer), frozenset())
        self._may_be_asked = PERMITS.get((peer, me), frozenset())
        self._ids = itertools.count(1)
        self._asked: dict[int, tuple[asyncio.Future[m.Reply], float, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._frames: Frames | None = None
        self._opened = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether the peer can be asked."""
        return self._frames is not None

    async def wait_open(self, *, timeout: float) -> None:  # noqa: ASYNC109
        """Wait until the peer can be asked, at most `timeout` seconds, then return either way."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._opened.wait()

    async def run(self, end: socket.socket) -> None:
        """Serve the link over `end` until it ends; closes `end`. Call it again with a new end."""
        frames = await Frames.open(end, self._receive)
        self._frames = frames
        self._opened.set()
        try:
            await frames.ended
        finally:
            self._end(frames)
        if frames.fault is not None:
            self._violated(self.peer, frames.fault.reason)

    def pause(self) -> bool:
        """Take nothing more from the peer for now; whether nothing is under way on the link.

        What the peer sends meanwhile waits in the socket, for whoever reads it next.
        """
        if self._frames is None:
            return True
        return self._frames.pause() and not self._serving and not self._asked

    def resume(self) -> None:
        """Serve the peer again."""
        if self._frames is not None:
            self._frames.resume()

    def close(self) -> None:
        """End the link; calls under way fail with `Unavailable`."""
        if self._frames is not None:
            self._end(self._frames)

    async def call(self, request: m.Request, *, timeout: float = ANSWER_SECONDS) -> m.Reply:  # noqa: ASYNC109
        """The peer's reply; `Refused` is a reply.

        Raises `Unavailable` when the peer is gone, silent for `timeout` seconds or already
        asked `MAX_ASKED` things, `Misuse` when the table does not permit the request.
        """
        if type(request) not in self._may_ask:
            name = type(request).__name__
            raise Misuse(f"{self._me.value} may not send {name} to {self.peer.value}")
        if self._frames is None:
            raise Unavailable(f"{self.peer.value} is not there")
        if len(self._asked) >= MAX_ASKED:
            raise Unavailable(f"{self.peer.value} is busy")
        number = next(self._ids) & 0xFFFFFFFF
        # Not awaited: MAX_ASKED bounds what an unread link can heap up.
        self._send(self._frames, Kind.REQUEST, number, request)
        reply = self._expect(number, timeout)
        try:
            return await reply
        finally:
            self._asked.pop(number, None)

    def _expect(self, number: int, timeout: float) -> asyncio.Future[m.Reply]:
        """A reply that fails after `timeout` seconds. One timer serves all that is waited for."""
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[m.Reply] = loop.create_future()
        due = loop.time() + timeout
        self._asked[number] = (reply, due, timeout)
        if self._timer is None or self._timer.when() > due:
            self._look_at(due)
        return reply

    def _look_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now, next_due = asyncio.get_running_loop().time(), float("inf")
        for reply, due, timeout in self._asked.values():
            if due > now:
                next_due = min(next_due, due)
            elif not reply.done():
                silent = f"{self.peer.value} gave no answer in {timeout:g} s"
                reply.set_exception(Unavailable(silent))
        if next_due < float("inf"):
            self._look_at(next_due)

    def _receive(self, frames: Frames, kind: int, number: int, body: bytes) -> None:
        """One frame of the peer. Raises `Rejected` for what ends the link."""
        if kind == Kind.REPLY:
            self._receive_reply(number, body)
        elif kind == Kind.REQUEST:
            self._receive_request(frames, number, body)
        else:
            raise Rejected("malformed", f"{self.peer.value} sent a frame of kind {kind}")

    def _receive_request(self, frames: Frames, number: int, body: bytes) -> None:
        try:
            request = _REQUESTS.decode(body)
        except _LIBRARY_ERRORS as error:
            raise Rejected("malformed", f"{self.peer.value}: {error}") from error
        if type(request) not in self._may_be_asked:
            raise Rejected(type(request).__name__, f"{self.peer.value} may not ask this")
        if len(self._serving) >= MAX_SERVED:
            self._refuse_busy(frames, number)
            return
        task = asyncio.create_task(self._serve(frames, number, request))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _receive_reply(self, number: int, body: bytes) -> None:
        waiting, _, _ = self._asked.get(number, (None, 0, 0))
        if waiting is None or waiting.done():
            return  # its caller no longer waits
        try:
            waiting.set_result(_REPLIES.decode(body))
        except _LIBRARY_ERRORS as error:
            waiting.set_exception(Rejected("malformed-reply", f"{self.peer.value}: {error}"))

    def _refuse_busy(self, frames: Frames, number: int) -> None:
        """An honest peer asks no more than `MAX_ASKED` and reads; one that does neither is cut off,
        or its refusals would heap up here."""
        if frames.is_full:
            raise Rejected("flood", f"{self.peer.value} asks without reading")
        self._send(frames, Kind.REPLY, number, m.Refused(reason="busy"))

    async def _serve(self, frames: Frames, number: int, request: m.Request) -> None:
        reply = await self._answer(self.peer, request)
        with contextlib.suppress(Unavailable):
            self._send(frames, Kind.REPLY, number, reply)
            if frames.is_full:
                await frames.drain()  # or replies would heap up: the slot stays taken

    def _send(self, frames: Frames, kind: Kind, number: int, message: m.Request | m.Reply) -> None:
        body = _ENCODER.encode(_clip(message))
        if len(body) > m.MESSAGE_BYTES:
            if kind is Kind.REQUEST:
                raise Misuse(f"{type(message).__name__} of {len(body)} bytes is too large to send")
            body = _ENCODER.encode(m.Refused(reason="reply-too-large"))
        if frames.ended.done():
            raise Unavailable(f"{self.peer.value} is gone")
        frames.send(kind, number, body)

    def _end(self, frames: Frames) -> None:
        frames.close()
        if self._frames is not frames:
            return  # a newer end has taken over
        self._frames = None
        self._opened.clear()
        for waiting, _, _ in self._asked.values():
            if not waiting.done():
                waiting.set_exception(Unavailable(f"{self.peer.value} is gone"))


def _clip(message: m.Request | m.Reply) -> m.Request | m.Reply:
    """A person's text may be long; it is cut here rather than refused by the receiver."""
    if isinstance(message, m.Refused) and len(message.message) > TEXT_CHARACTERS:
        return msgspec.structs.replace(message, message=message.message[:TEXT_CHARACTERS])
    if isinstance(message, m.LogEvent) and len(message.detail) > TEXT_CHARACTERS:
        return msgspec.structs.replace(message, detail=message.detail[:TEXT_CHARACTERS])
    return message
