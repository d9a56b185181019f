"""A byte stream without a socket, so that a fuzzer reaches asyncio code fast and repeatably."""

import asyncio

from limpet.https._wire import Wire

__all__ = ["MemoryTransport", "open_wire"]

MAX_WRITTEN = 8 << 20


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; knows no peer."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep `data`; a peer that makes us write without bound is a finding."""
        self.written += data
        assert len(self.written) <= MAX_WRITTEN, "amplification"

    def is_closing(self) -> bool:
        """Whether it was closed or aborted."""
        return self.ended

    def close(self) -> None:
        """End it."""
        self.ended = True

    def abort(self) -> None:
        """End it."""
        self.ended = True

    def pause_reading(self) -> None:
        """Everything is here already."""

    def resume_reading(self) -> None:
        """Everything is here already."""


def open_wire(
    pieces: list[bytes], loop: asyncio.AbstractEventLoop, *, limit: int
) -> tuple[Wire, MemoryTransport]:
    """A wire that gets `pieces` and then the end, and writes into memory."""
    wire, transport = Wire(loop, limit=limit), MemoryTransport()
    wire.connection_made(transport)

    def feed(left: list[bytes]) -> None:
        if transport.ended or not left:
            wire.eof_received()
            return
        wire.data_received(left[0])
        loop.call_soon(feed, left[1:])

    loop.call_soon(feed, pieces)
    return wire, transport
