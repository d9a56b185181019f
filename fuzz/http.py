"""The HTTP target: any bytes, after TLS, into the real `Connection` and the real h11.

Its promises: the server ends by itself, answers only HTTP that h11 as a client can
read, one answer for each request, and hands on no request with two readings.
"""

import asyncio
import re

from fuzz.memory import open_wire
from limpet.https.connection import Connection
from limpet.https.limits import DEVICE
from limpet.https.message import Peer, Request, Response

__all__ = ["serve_bytes"]

MOST_PIECES = 64
_LOOP = asyncio.new_event_loop()
_PEER = Peer("192.0.2.1", 50000, None, 1)
_NAME = re.compile(rb"[a-z0-9-]+")


def serve_bytes(data: bytes) -> None:
    """Serve `data[1:]`, cut as `data[0]` says, and judge what came of it."""
    if len(data) < 2:
        return
    step = max(1, data[0] << 4, (len(data) - 1) // MOST_PIECES + 1)
    pieces = [data[at : at + step] for at in range(1, len(data), step)]
    handled, events, written = _LOOP.run_until_complete(_serve(pieces))
    assert not events, events
    for request in handled:
        _judge_request(request)
    answers = _read_answers(written)
    assert len(handled) <= len(answers), "a request without an answer"
    assert all(status < 500 or status == 501 for status in answers), answers


async def _serve(pieces: list[bytes]) -> tuple[list[Request], list[tuple[str, str]], bytes]:
    handled: list[Request] = []
    events: list[tuple[str, str]] = []

    async def handler(request: Request) -> Response:
        handled.append(request)
        return Response(status=200, headers={"content-type": "text/plain"}, body=b"seen")

    loop = asyncio.get_running_loop()
    wire, transport = open_wire(pieces, loop, limit=DEVICE.header_bytes)
    connection = Connection(
        wire,
        handler=handler,
        limits=DEVICE,
        peer=_PEER,
        patience=lambda: 1.0,
        turn=lambda: None,
        on_event=lambda event, detail: events.append((event, detail)),
    )
    async with asyncio.timeout(5):
        await connection.serve()
    return handled, events, bytes(transport.written)


def _judge_request(request: Request) -> None:
    assert request.path.startswith("/")
    assert request.path.isprintable()
    assert not {"", ".", ".."} & set(request.path.removesuffix("/").split("/")[1:])
    assert len(request.body) <= DEVICE.body_bytes
    assert "transfer-encoding" not in request.headers
    assert "host" in request.headers
    assert int(request.headers.get("content-length", "0")) == len(request.body)


def _read_answers(written: bytes) -> list[int]:
    """The statuses of the answers, as a strict client reads them; an interim one is no answer."""
    statuses: list[int] = []
    left = written
    while left:
        head, _, rest = left.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        status = int(lines[0].split(b" ")[1])
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
        assert len(fields) == len(lines) - 1, "a header twice"
        assert all(_NAME.fullmatch(name) for name in fields)
        if status != 100:
            statuses.append(status)
        length = 0 if status == 100 else int(fields.get(b"content-length", b"0"))
        # After HEAD the length is told and no body follows: the next bytes say which it was.
        left = rest if rest.startswith(b"HTTP/1.1 ") or not rest else rest[length:]
    return statuses
