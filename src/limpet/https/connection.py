"""One connection: requests in, responses out, every phase under one deadline.

Owns the HTTP/1.1 exchange (h11 keeps the state). Never decides who may connect,
and never trusts a client's pace: the deadlines of `Limits` cover whole phases.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import h11

from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.https._head import render_head
from limpet.https._parse import Head, parse_head
from limpet.https._wire import Deadline, Wire
from limpet.https.limits import Limits
from limpet.https.message import FileBody, Handler, Peer, Request, Response, StreamBody, problem

__all__ = ["Connection", "Event"]

_CHUNK = 64 << 10
_LINGER_BYTES = 256 << 10
_LINGER_SECONDS = 1.0
_STATUS = {"too-large": 413, "length-required": 411, "method": 501, "header-too-large": 431}
_REASONS = {h11.CLOSED, h11.ERROR, h11.MUST_CLOSE}

Event = Callable[[str, str], None]
"""`(event, detail)`: kebab-case event and a line without secrets, for the log."""


class _Gone(Exception):
    """The client went away; nothing is owed to it."""


class Connection:
    """Serves one accepted TLS connection until it ends. All errors end in here."""

    def __init__(
        self,
        wire: Wire,
        *,
        handler: Handler,
        limits: Limits,
        peer: Peer,
        patience: Callable[[], float],
        turn: Callable[[], Awaitable[None] | None],
        on_event: Event,
    ) -> None:
        """`patience` gives the seconds that a client without a credential has left.

        `turn` is asked before each request is read: None, or what to await until its time comes.
        """
        self._wire = wire
        self._handler, self._limits, self._peer = handler, limits, peer
        self._patience, self._turn, self._on_event = patience, turn, on_event
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.header_bytes)
        self._deadline = Deadline(asyncio.get_running_loop())
        self.busy = False
        self.closing = False

    async def serve(self) -> None:
        """Answer requests until client, limits or `closing` end it; never raises but on cancel."""
        try:
            for count in range(1, self._limits.requests_per_connection + 1):
                last = count == self._limits.requests_per_connection
                if not await self._serve_one(last=last):
                    return
        except (_Gone, OSError):  # out of time is an OSError too
            self._wire.transport.abort()
        except h11.LocalProtocolError as error:
            self._on_event("response-broken", str(error))
            self._wire.transport.abort()
        finally:
            self._deadline.close()

    async def _serve_one(self, *, last: bool) -> bool:
        method = "GET"  # until a request is read: a refusal of HEAD has no body either
        try:
            event = await self._next_request()
            if event is None:
                return False
            self.busy, method = True, event.method.decode("ascii")
            head = parse_head(event, self._limits)
            body = await self._body(head)
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint or 400
            if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
                return False
            await self._send(problem(status, "malformed", "this is not HTTP"), method, close=True)
            return False
        except Rejected as error:
            status = _STATUS.get(error.reason, 400)
            await self._send(problem(status, error.reason, error.message), method, close=True)
            if error.reason == "too-large":
                await self._linger()
            return False
        request = Request(head.method, head.path, head.query, head.headers, body, self._peer)
        response = await self._answer(request)
        await self._send(response, head.method, close=last or self.closing)
        self.busy = False
        if self.closing or self._http.our_state in _REASONS or self._http.their_state in _REASONS:
            return False
        self._http.start_next_cycle()
        return True

    async def _next_request(self) -> h11.Request | None:
        """The next header. Waiting for its first byte is idle time, the rest one deadline."""
        if not self._http.trailing_data[0]:
            try:
                with self._deadline.within(min(self._limits.idle_seconds, self._patience())):
                    self._http.receive_data(await self._wire.read())
            except TimeoutError:
                return None
        if (turn := self._turn()) is not None:
            await turn
        event = self._http.next_event()
        if event is h11.NEED_DATA:
            left = min(self._limits.header_seconds, self._patience() + 0.001)
            with self._deadline.within(left):
                while event is h11.NEED_DATA:
                    self._http.receive_data(await self._wire.read())
                    event = self._http.next_event()
        return event if isinstance(event, h11.Request) else None

    async def _body(self, head: Head) -> bytes:
        if self._http.they_are_waiting_for_100_continue:
            self._wire.write(
                self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b""
            )
        event = self._http.next_event()
        parts: list[bytes] = []
        if not isinstance(event, h11.EndOfMessage):
            with self._deadline.within(self._limits.body_seconds):
                while event is h11.NEED_DATA or isinstance(event, h11.Data):
                    if isinstance(event, h11.Data):
                        parts.append(bytes(event.data))
                    else:
                        self._http.receive_data(await self._wire.read())
                    event = self._http.next_event()
        body = b"".join(parts)
        if len(body) != head.length:
            raise Rejected("malformed", "the body ended before its length")
        return body

    async def _answer(self, request: Request) -> Response:
        try:
            with self._deadline.within(self._limits.handler_seconds):
                return await self._handler(request)
        except Rejected as error:
            return problem(400, error.reason, error.message)
        except (Unavailable, TimeoutError) as error:
            self._on_event("handler-unavailable", f"{request.method} {request.path}: {error}")
            return problem(503, "unavailable", "try again later", headers={"retry-after": "5"})
        except (LimpetError, Exception) as error:
            # A bug of ours must not take the server down, nor show its inside to the client.
            self._on_event("handler-failed", f"{request.method} {request.path}: {error!r}")
            return problem(500, "internal", "this is a fault of the server")

    async def _linger(self) -> None:
        """Take in (bounded) what is still being sent: closing a socket with unread bytes resets
        it, and the client would never see why it was refused (RFC 9112, 9.6)."""
        left = _LINGER_BYTES
        with self._deadline.within(_LINGER_SECONDS):
            while left > 0 and (data := await self._wire.read()):
                left -= len(data)

    async def _send(self, response: Response, method: str, *, close: bool) -> None:
        body = response.body
        if isinstance(body, StreamBody):
            await self._send_stream(response, body, silent=method == "HEAD")
            return
        length = body.length if isinstance(body, FileBody) else len(body)
        has_length = response.status not in (204, 304)
        head = render_head(
            self._http,
            response.status,
            response.headers,
            fixed=response.fixed,
            length=length if has_length else None,
            close=close,
        )
        silent = method == "HEAD" or not has_length
        allowed = self._limits.write_seconds + length / self._limits.write_bytes_per_second
        if isinstance(body, FileBody) and not silent:
            with self._deadline.within(allowed):
                await self._write(head)
                async for chunk in _chunks(body):
                    await self._write(self._bytes_of(h11.Data(data=chunk)))
                await self._write(self._bytes_of(h11.EndOfMessage()))
            return
        data: bytes | None = b""
        if isinstance(body, bytes) and not silent:
            data = self._http.send(h11.Data(data=body))
        end = self._http.send(h11.EndOfMessage())
        self._wire.write(head + (data or b"") + (end or b""))
        if self._wire.is_full:
            with self._deadline.within(allowed):
                await self._wire.drain()

    async def _send_stream(self, response: Response, body: StreamBody, *, silent: bool) -> None:
        """Part by part until the parts or the client end; the connection is not used again."""
        head = render_head(
            self._http,
            response.status,
            response.headers,
            fixed=response.fixed,
            length=None,
            close=True,
        )
        # Whoever streams owes nothing that a closing server would have to wait for.
        self.busy = False
        client = asyncio.ensure_future(self._wire.read())
        try:
            async with contextlib.aclosing(body.parts):
                with self._deadline.within(self._limits.write_seconds):
                    await self._write(head)
                while not silent and (part := await _next_part(body, client)):
                    with self._deadline.within(self._limits.write_seconds):
                        await self._write(self._bytes_of(h11.Data(data=part)))
                if client.done():
                    raise _Gone
                with self._deadline.within(self._limits.write_seconds):
                    await self._write(self._bytes_of(h11.EndOfMessage()))
        finally:
            client.cancel()
            await asyncio.gather(client, return_exceptions=True)

    def _bytes_of(self, event: h11.Event) -> bytes:
        return self._http.send(event) or b""

    async def _write(self, data: bytes) -> None:
        self._wire.write(data)
        await self._wire.drain()


async def _next_part(body: StreamBody, client: asyncio.Future[bytes]) -> bytes:
    """The next part; nothing once the parts are over or `client` sent a byte or its end."""
    part = asyncio.ensure_future(anext(body.parts, b""))
    try:
        await asyncio.wait({part, client}, return_when=asyncio.FIRST_COMPLETED)
        return part.result() if part.done() and not client.done() else b""
    finally:
        if not part.done():
            part.cancel()
            await asyncio.gather(part, return_exceptions=True)


async def _chunks(body: FileBody) -> AsyncIterator[bytes]:
    left, offset = body.length, body.offset
    while left > 0:
        chunk = await asyncio.to_thread(_read_at, body.path, offset, min(left, _CHUNK * 4))
        if not chunk:
            raise OSError("the file became shorter while it was sent")
        left, offset = left - len(chunk), offset + len(chunk)
        yield chunk


def _read_at(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
