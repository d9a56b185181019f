"""Bodies without a length: sent as they come, ended by whoever ends first, never for ever."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from tests.https.conftest import Start, read_all

from limpet.https.limits import Limits
from limpet.https.message import Handler, Request, Response, StreamBody

GET = b"GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Source:
    """Streams `parts`, `pause` seconds apart, and remembers its end."""

    def __init__(self, parts: int, *, pause: float = 0.05, size: int = 4, fail: bool = False):
        self.parts, self.pause, self.size, self.fail = parts, pause, size, fail
        self.given, self.ended = 0, False

    def handler(self) -> Handler:
        async def handle(request: Request) -> Response:
            return Response(200, {"content-type": "text/event-stream"}, StreamBody(self._parts()))

        return handle

    async def _parts(self) -> AsyncGenerator[bytes, None]:
        try:
            for _ in range(self.parts):
                self.given += 1
                yield b"x" * self.size
                await asyncio.sleep(self.pause)
            if self.fail:
                raise ValueError("a fault")
        finally:
            self.ended = True


def test_parts_arrive_as_they_come_and_the_end_is_marked(start: Start) -> None:
    source = Source(3, pause=0.5)
    with start(source.handler()).connect() as tls:
        tls.sendall(GET)
        first = tls.recv(4096)
        assert not first.endswith(b"0\r\n\r\n")
        assert not source.ended
        reply = first + read_all(tls)
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    assert b"connection: close" in head.lower()
    assert b"content-length" not in head.lower()
    assert body == b"4\r\nxxxx\r\n" * 3 + b"0\r\n\r\n"
    assert source.ended


def test_a_client_that_leaves_ends_the_stream_even_between_parts(start: Start) -> None:
    source = Source(1000, pause=60)
    running = start(source.handler())
    with running.connect() as tls:
        tls.sendall(GET)
        tls.recv(4096)
    assert running.until(lambda: source.ended)
    assert running.until(lambda: running.server.connections == 0)
    assert source.given == 1


def test_a_client_that_speaks_into_a_stream_is_cut_off(start: Start) -> None:
    source = Source(1000, pause=0.05)
    running = start(source.handler())
    with running.connect() as tls:
        tls.sendall(GET)
        tls.recv(4096)
        tls.sendall(GET)
        reply = read_all(tls)
    assert b"0\r\n\r\n" not in reply
    assert running.until(lambda: source.ended)


def test_a_client_that_does_not_read_runs_out_of_time(start: Start) -> None:
    source = Source(10_000, pause=0, size=64 << 10)
    running = start(source.handler(), limits=Limits(write_seconds=0.5))
    with running.connect() as tls:
        tls.sendall(GET)
        assert running.until(lambda: source.ended)
        assert source.given < 1000  # what the kernel's buffers hold, and no more


def test_a_fault_in_the_parts_is_logged_and_never_looks_like_a_whole_body(start: Start) -> None:
    source = Source(2, fail=True)
    running = start(source.handler())
    with running.connect() as tls:
        tls.sendall(GET)
        reply = read_all(tls)
    assert reply.endswith(b"xxxx\r\n")
    assert running.until(lambda: bool(running.events))
    assert running.events[0][0] == "connection-failed"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_head_starts_no_stream_and_http_1_0_gets_one_without_chunks(
    start: Start, version: bytes
) -> None:
    source = Source(2)
    running = start(source.handler())
    with running.connect() as tls:
        tls.sendall(GET.replace(b"GET", b"HEAD").replace(b"1.1", version))
        assert read_all(tls).endswith(b"\r\n\r\n")
    assert source.given == 0
    if version == b"1.0":
        with running.connect() as tls:
            tls.sendall(GET.replace(b"1.1", version))
            assert read_all(tls).endswith(b"\r\n\r\nxxxxxxxx")


def test_a_closing_server_does_not_wait_for_a_stream(start: Start) -> None:
    source = Source(1000, pause=60)
    running = start(source.handler())
    with running.connect() as tls:
        tls.sendall(GET)
        tls.recv(4096)
        closing = asyncio.run_coroutine_threadsafe(running.server.close(), running.loop)
        closing.result(30)  # the stream rests for a minute
    assert source.ended
