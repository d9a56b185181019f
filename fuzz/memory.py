"""A byte stream without a socket, so that a fuzzer reaches asyncio code fast and repeatably."""

import asyncio

__all__ = ["MemoryTransport", "open_memory"]

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


def open_memory(
    pieces: list[bytes], loop: asyncio.AbstractEventLoop, *, limit: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, MemoryTransport]:
    """A reader that gets `pieces` and then the end, and a writer into memory."""
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport = MemoryTransport()
    protocol.connection_made(transport)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)

    def feed(left: list[bytes]) -> None:
        if transport.ended or not left:
            reader.feed_eof()
            return
        reader.feed_data(left[0])
        loop.call_soon(feed, left[1:])

    loop.call_soon(feed, pieces)
    return reader, writer, transport
