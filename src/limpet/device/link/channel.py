"""One link between two roles: framed MessagePack over a stream socket, both ways at once.

Owns framing, request ids, and every bound of a link. Decides nothing about
permission (`limpet.device.link.permits` does) and knows no role's work.

A frame is a header of nine bytes (kind, request id, length, big-endian) and one
message. Both sides may ask at any time; replies carry the id of their request.
What a peer sends is bounded before it is decoded; a request that cannot be
decoded or is not permitted ends the link and is told to `violated`.
"""

import asyncio
import contextlib
import enum
import itertools
import socket
import struct
from collections.abc import Awaitable, Callable

import msgspec

from limpet.device.link import messages as m
from limpet.device.link.permits import Role, is_permitted
from limpet.errors import LimpetError, Misuse, Rejected, Unavailable

__all__ = ["ANSWER_SECONDS", "MAX_ASKED", "MAX_SERVED", "Answerer", "Channel"]

ANSWER_SECONDS = 10.0
"""How long a caller waits for a reply unless it says otherwise."""

WRITE_SECONDS = 10.0
"""How long a peer may leave its end unread before the link is given up."""

MAX_ASKED = 64
"""Requests of ours that may wait for a reply at once; more are `Unavailable`."""

MAX_SERVED = 64
"""Requests of the peer that are served at once; more are `Refused("busy")`."""

TEXT_CHARACTERS = 1024  # of messages.Text

_HEADER = struct.Struct(">BII")
_REQUESTS = msgspec.msgpack.Decoder(m.Request)
_REPLIES = msgspec.msgpack.Decoder(m.Reply)
_LIBRARY_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Answerer = Callable[[Role, m.Request], Awaitable[m.Reply]]
"""What a role does with a permitted request of `caller`."""


class _Kind(enum.IntEnum):
    REQUEST = 1
    REPLY = 2


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
        self._ids = itertools.count(1)
        self._asked: dict[int, asyncio.Future[m.Reply]] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._opened = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether the peer can be asked."""
        return self._writer is not None

    async def wait_open(self, *, timeout: float) -> None:  # noqa: ASYNC109
        """Wait until the peer can be asked, at most `timeout` seconds, then return either way."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._opened.wait()

    async def run(self, end: socket.socket) -> None:
        """Serve the link over `end` until it ends; closes `end`. Call it again with a new end."""
        reader, writer = await asyncio.open_unix_connection(sock=end, limit=m.MESSAGE_BYTES)
        self._writer = writer
        self._opened.set()
        try:
            await self._read(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            return  # the peer is gone
        except Rejected as error:
            self._violated(self.peer, error.reason)
        finally:
            self._end(writer)

    def close(self) -> None:
        """End the link; calls under way fail with `Unavailable`."""
        if self._writer is not None:
            self._end(self._writer)

    async def call(self, request: m.Request, *, timeout: float = ANSWER_SECONDS) -> m.Reply:  # noqa: ASYNC109
        """The peer's reply; `Refused` is a reply.

        Raises `Unavailable` when the peer is gone, silent for `timeout` seconds or already
        asked `MAX_ASKED` things, `Misuse` when the table does not permit the request.
        """
        if not is_permitted(self._me, self.peer, request):
            name = type(request).__name__
            raise Misuse(f"{self._me.value} may not send {name} to {self.peer.value}")
        if self._writer is None:
            raise Unavailable(f"{self.peer.value} is not there")
        if len(self._asked) >= MAX_ASKED:
            raise Unavailable(f"{self.peer.value} is busy")
        number = next(self._ids) & 0xFFFFFFFF
        reply: asyncio.Future[m.Reply] = asyncio.get_running_loop().create_future()
        self._asked[number] = reply
        try:
            async with asyncio.timeout(timeout):
                await self._send(self._writer, _Kind.REQUEST, number, request)
                return await reply
        except TimeoutError:
            raise Unavailable(f"{self.peer.value} gave no answer in {timeout:g} s") from None
        finally:
            self._asked.pop(number, None)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            kind, number, length = _HEADER.unpack(await reader.readexactly(_HEADER.size))
            if length > m.MESSAGE_BYTES:
                raise Rejected("too-large", f"{self.peer.value} sent {length} bytes")
            body = await reader.readexactly(length)
            if kind == _Kind.REQUEST:
                await self._receive_request(writer, number, body)
            elif kind == _Kind.REPLY:
                self._receive_reply(number, body)
            else:
                raise Rejected("malformed", f"{self.peer.value} sent a frame of kind {kind}")

    async def _receive_request(
        self, writer: asyncio.StreamWriter, number: int, body: bytes
    ) -> None:
        try:
            request = _REQUESTS.decode(body)
        except _LIBRARY_ERRORS as error:
            raise Rejected("malformed", f"{self.peer.value}: {error}") from error
        if not is_permitted(self.peer, self._me, request):
            raise Rejected(type(request).__name__, f"{self.peer.value} may not ask this")
        if len(self._serving) >= MAX_SERVED:
            await self._send(writer, _Kind.REPLY, number, m.Refused(reason="busy"))
            return
        task = asyncio.create_task(self._serve(writer, number, request))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _receive_reply(self, number: int, body: bytes) -> None:
        waiting = self._asked.get(number)
        if waiting is None or waiting.done():
            return  # its caller no longer waits
        try:
            waiting.set_result(_REPLIES.decode(body))
        except _LIBRARY_ERRORS as error:
            waiting.set_exception(Rejected("malformed-reply", f"{self.peer.value}: {error}"))

    async def _serve(self, writer: asyncio.StreamWriter, number: int, request: m.Request) -> None:
        reply = await self._answer(self.peer, request)
        with contextlib.suppress(OSError, Unavailable):
            await self._send(writer, _Kind.REPLY, number, reply)

    async def _send(
        self, writer: asyncio.StreamWriter, kind: _Kind, number: int, message: m.Request | m.Reply
    ) -> None:
        body = msgspec.msgpack.encode(_clip(message))
        if len(body) > m.MESSAGE_BYTES:
            if kind is _Kind.REQUEST:
                raise Misuse(f"{type(message).__name__} of {len(body)} bytes is too large to send")
            body = msgspec.msgpack.encode(m.Refused(reason="reply-too-large"))
        if writer.is_closing():
            raise Unavailable(f"{self.peer.value} is gone")
        writer.write(_HEADER.pack(kind, number, len(body)) + body)
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await writer.drain()
        except TimeoutError:
            self._end(writer)
            raise Unavailable(f"{self.peer.value} does not read") from None
        except OSError as error:
            raise Unavailable(f"{self.peer.value} is gone") from error

    def _end(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        if self._writer is not writer:
            return  # a newer end has taken over
        self._writer = None
        self._opened.clear()
        failure: LimpetError = Unavailable(f"{self.peer.value} is gone")
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(failure)


def _clip(message: m.Request | m.Reply) -> m.Request | m.Reply:
    """A person's text may be long; it is cut here rather than refused by the receiver."""
    if isinstance(message, m.Refused) and len(message.message) > TEXT_CHARACTERS:
        return msgspec.structs.replace(message, message=message.message[:TEXT_CHARACTERS])
    if isinstance(message, m.LogEvent) and len(message.detail) > TEXT_CHARACTERS:
        return msgspec.structs.replace(message, detail=message.detail[:TEXT_CHARACTERS])
    return message
