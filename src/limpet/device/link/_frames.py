"""The frames of one end of a link: cut from a stream, bounded before anything decodes them.

Owns the form of a frame, the buffer it is received into, and how long a peer may leave
its end unread. Knows no message.

A frame is a header of nine bytes (kind, request id, length, big-endian) and one message.
"""

import asyncio
import enum
import socket
import struct
from collections.abc import Callable
from typing import Self, cast

from limpet.device.link.messages import MESSAGE_BYTES
from limpet.errors import Rejected, Unavailable

__all__ = ["Frames", "Kind"]

WRITE_SECONDS = 10.0
"""How long a peer may leave its end unread before the link is given up."""

BUFFER_BYTES = 16 << 10
"""What is received at once; a longer frame gets a buffer of its own length."""

_HEADER = struct.Struct(">BII")


class Kind(enum.IntEnum):
    """What a frame is."""

    REQUEST = 1
    REPLY = 2


class Frames(asyncio.BufferedProtocol):
    """One end. `receive(frames, kind, id, message)` is called for each frame, in their order.

    What `receive` refuses (`Rejected`) ends the link, as a frame does that is too large: `fault`
    then says why. `ended` is done when the link is.
    """

    _transport: asyncio.Transport

    def __init__(self, receive: "Receive", loop: asyncio.AbstractEventLoop) -> None:
        self._receive = receive
        self._loop = loop
        self._buffer = bytearray(BUFFER_BYTES)
        self._filled = 0
        self._room: asyncio.Future[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = loop.create_future()
        self.fault: Rejected | None = None

    @classmethod
    async def open(cls, end: socket.socket, receive: "Receive") -> Self:
        """The frames of `end`, which belongs to them from now on."""
        loop = asyncio.get_running_loop()
        frames = cls(receive, loop)
        await loop.create_unix_connection(lambda: frames, sock=end)
        return frames

    @property
    def is_full(self) -> bool:
        """Whether what was sent waits for the peer to read."""
        return self._room is not None

    def send(self, kind: Kind, number: int, message: bytes) -> None:
        """Send a frame. Raises `Unavailable` once the link is ending."""
        if self._transport.is_closing():
            raise Unavailable("the link has ended")
        self._transport.write(_HEADER.pack(kind, number, len(message)) + message)

    async def drain(self) -> None:
        """Return when the peer has read enough, or the link has ended."""
        if self._room is not None:
            await asyncio.shield(self._room)

    def pause(self) -> bool:
        """Receive nothing more for now; whether nothing is half received or half sent."""
        self._transport.pause_reading()
        return self._filled == 0 and self._transport.get_write_buffer_size() == 0

    def resume(self) -> None:
        """Receive again."""
        self._transport.resume_reading()

    def close(self) -> None:
        """End the link; what was sent still arrives."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by asyncio: there is always room, since whole frames are taken out."""
        del sizehint
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Called by asyncio."""
        self._filled += nbytes
        try:
            taken, wanted = self._take()
        except Rejected as error:
            self.fault = error
            self._transport.abort()
            return
        rest = self._buffer[taken : self._filled]
        if max(wanted, BUFFER_BYTES) != len(self._buffer):
            self._buffer = bytearray(max(wanted, BUFFER_BYTES))
        self._buffer[: len(rest)] = rest
        self._filled = len(rest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        del exc
        self.resume_writing()
        if not self.ended.done():
            self.ended.set_result(None)

    def pause_writing(self) -> None:
        """Called by asyncio: the peer does not read."""
        self._room = self._loop.create_future()
        self._patience = self._loop.call_later(WRITE_SECONDS, self._transport.abort)

    def resume_writing(self) -> None:
        """Called by asyncio."""
        if self._patience is not None:
            self._patience.cancel()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = self._patience = None

    def _take(self) -> tuple[int, int]:
        """Hand on all whole frames: the bytes they took, and the size of the one begun."""
        taken = wanted = 0
        while self._filled - taken >= _HEADER.size and not self._transport.is_closing():
            kind, number, length = _HEADER.unpack_from(self._buffer, taken)
            if length > MESSAGE_BYTES:
                raise Rejected("too-large", f"a frame of {length} bytes")
            wanted = _HEADER.size + length
            if self._filled - taken < wanted:
                return taken, wanted
            taken += wanted
            self._receive(self, kind, number, bytes(self._buffer[taken - length : taken]))
        return taken, 0


Receive = Callable[[Frames, int, int, bytes], None]
"""What is done with a frame."""
