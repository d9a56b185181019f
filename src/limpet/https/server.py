"""The HTTPS server: accepts, admits, hands over to TLS and to one `Connection` each.

Owns the listening socket and the set of open connections. Order for a new one:
still there, admission (before anything is spent on it), first byte must be TLS's, handshake
under a deadline, requests. Plain HTTP gets a bare 400 and is closed: nothing of
a request in the clear is read, let alone answered.
"""

import asyncio
import asyncio.sslproto
import contextlib
import errno
import random
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping

from limpet.errors import Unavailable
from limpet.https._wire import Wire
from limpet.https.admission import FRONT, Admission, Drop
from limpet.https.connection import Connection, Event
from limpet.https.limits import Limits
from limpet.https.message import Handler, Peer

__all__ = ["Server", "open_listener", "serve", "shrink_tls_buffers"]

TLS_HANDSHAKE_RECORD = 0x16  # RFC 8446, 5.1: the content type that a ClientHello begins with
PLAIN_REPLY = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_ACCEPT_AT_ONCE = 16
_ACCEPT_PAUSE_SECONDS = 0.2  # when the process is out of descriptors
_BREATH_SECONDS = 0.005  # after some were turned away: the next ones come together, and cost less
_RESET = struct.pack("ii", 1, 0)  # struct linger of socket(7): on, 0 seconds
_LOOK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)
_TLS_BUFFER_BYTES = 16384  # one TLS record
_ADDRESS_ADVICE = "give an address of this machine, as 127.0.0.1 or 0.0.0.0"
_LISTEN_ADVICE: Mapping[int | None, str] = {
    errno.EADDRINUSE: "choose another port, or stop what listens there",
    errno.EACCES: "choose a port from 1024 on, or grant CAP_NET_BIND_SERVICE",
}


def shrink_tls_buffers() -> None:
    """Let asyncio keep 44 KB per TLS connection instead of 284 KB (a private name; tested)."""
    asyncio.sslproto.SSLProtocol.max_size = _TLS_BUFFER_BYTES


class Server:
    """A listening server. Made by `serve`; `tls` may be replaced while it runs."""

    def __init__(
        self,
        handler: Handler,
        listener: socket.socket,
        *,
        tls: ssl.SSLContext,
        limits: Limits,
        admission: Admission,
        on_event: Event,
    ) -> None:
        self.tls = tls
        self.admission = admission
        self._handler, self._listener, self._limits = handler, listener, limits
        self._on_event = on_event
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._connections: dict[int, Connection] = {}
        self._turned_away = False  # somebody, since the last breath
        self._loop = asyncio.get_running_loop()
        admission.evict = self._evict

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return str(self._listener.getsockname()[0])

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many connections are open, handshakes included."""
        return len(self._tasks)

    def start(self) -> None:
        """Begin to accept."""
        self._loop.add_reader(self._listener.fileno(), self._accept)

    async def close(self) -> None:
        """Stop accepting, let requests under way end (bounded), then close everything."""
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()
        for connection in self._connections.values():
            connection.closing = True
        for number, task in list(self._tasks.items()):
            connection_or_none = self._connections.get(number)
            if connection_or_none is None or not connection_or_none.busy:
                task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=self._limits.shutdown_seconds)
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_ACCEPT_AT_ONCE):
            try:
                sock, address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                self._breathe()
                return
            except OSError as error:
                self._on_event("accept-failed", error.strerror or "failed")
                self._pause(_ACCEPT_PAUSE_SECONDS)
                return
            if _has_left(sock):
                self._turned_away = True
                sock.close()
                continue
            verdict = self.admission.open(address[0])
            if isinstance(verdict, Drop):
                self._turned_away = True
                with sock:  # reset, so that a dropped connection does not linger in the kernel
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                continue
            sock.setblocking(False)
            task = self._loop.create_task(self._run(sock, address[0], address[1], verdict))
            self._tasks[verdict] = task
            task.add_done_callback(self._forget(verdict))

    def _forget(self, number: int) -> Callable[[asyncio.Task[None]], None]:
        def forget(task: asyncio.Task[None]) -> None:
            self._tasks.pop(number, None)
            self.admission.close(number)
            if not task.cancelled() and (error := task.exception()) is not None:
                self._on_event("connection-failed", repr(error))

        return forget

    def _breathe(self) -> None:
        """Under a flood, let new connections wait for each other once nobody waits: to be woken for
        each of them costs more than to turn it away."""
        if self._turned_away:
            self._turned_away = False
            self._pause(_BREATH_SECONDS)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(seconds, self._resume)

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self.start()

    def _evict(self, number: int) -> None:
        task = self._tasks.get(number)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _run(self, sock: socket.socket, address: str, port: int, number: int) -> None:
        try:
            wire = await self._handshake(sock, number)
        except (OSError, TimeoutError):  # ssl.SSLError is an OSError
            return
        if wire is None:
            return
        try:
            tls = wire.transport.get_extra_info("ssl_object")
            connection = Connection(
                wire,
                handler=self._handler,
                limits=self._limits,
                peer=Peer(address, port, tls.getpeercert(binary_form=True), number),
                patience=lambda: self.admission.patience(number),
                turn=lambda: self.admission.turn(number),
                on_event=self._on_event,
            )
            self._connections[number] = connection
            await connection.serve()
        finally:
            self._connections.pop(number, None)
            await self._finish(wire)

    async def _finish(self, wire: Wire) -> None:
        if (task := asyncio.current_task()) is not None and task.cancelling():
            wire.transport.abort()
            return
        wire.transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.shutdown_seconds):
                await wire.closed
        wire.transport.abort()  # nothing is left to wait for; harmless when it is closed

    async def _handshake(self, sock: socket.socket, number: int) -> Wire | None:
        """TLS under one deadline from the accept on; `None` if the client did not speak TLS."""
        deadline = self._loop.time() + self._limits.handshake_seconds
        with contextlib.ExitStack() as stack:
            stack.callback(sock.close)
            async with asyncio.timeout_at(deadline):
                first = await self._first_byte(sock)
            if first != TLS_HANDSHAKE_RECORD:
                with contextlib.suppress(OSError):
                    sock.send(PLAIN_REPLY if first is not None else b"")
                    sock.shutdown(socket.SHUT_WR)
                return None
            if (turn := self.admission.turn(number)) is not None:
                async with asyncio.timeout_at(deadline):
                    await turn
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stack.pop_all()  # from here on asyncio's transport owns the socket
        wire = Wire(self._loop, limit=2 * self._limits.header_bytes)
        async with asyncio.timeout_at(deadline):
            await self._loop.connect_accepted_socket(
                lambda: wire,
                sock,
                ssl=self.tls,
                ssl_handshake_timeout=self._limits.handshake_seconds,
                ssl_shutdown_timeout=self._limits.shutdown_seconds,
            )
        return wire

    async def _first_byte(self, sock: socket.socket) -> int | None:
        """The first byte, left in the socket; `None` if the client closed without one."""
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(sock.fileno(), _wake, ready)
        try:
            await ready
        finally:
            self._loop.remove_reader(sock.fileno())
        peeked = sock.recv(1, socket.MSG_PEEK)
        return peeked[0] if peeked else None


def _has_left(sock: socket.socket) -> bool:
    """Whether the client has closed or reset already, saying nothing: it is worth no decision.

    What a flood of such connections costs is then accepting them, and little more.
    """
    try:
        return not sock.recv(1, _LOOK)
    except BlockingIOError:
        return False  # it has said nothing yet
    except OSError:
        return True


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def open_listener(host: str, port: int, *, backlog: int) -> socket.socket:
    """A listening TCP socket. Raises `Unavailable`, with what to do."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=backlog)
    except (OSError, OverflowError, UnicodeError) as error:
        # Python adds "(while attempting to bind …)", which says nothing new.
        reason = (getattr(error, "strerror", None) or "not a usable address").partition(" (")[0]
        raise Unavailable(
            f"cannot listen on {host} port {port}: {reason.lower()}",
            hint=_LISTEN_ADVICE.get(getattr(error, "errno", None), _ADDRESS_ADVICE),
        ) from error


def _bound_buffers(listener: socket.socket, limits: Limits) -> None:
    """Every accepted connection inherits them."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limits.receive_buffer_bytes)
    if limits.send_buffer_bytes is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)


async def serve(
    handler: Handler,
    *,
    host: str,
    port: int,
    tls: ssl.SSLContext,
    limits: Limits | None = None,
    admission: Admission | None = None,
    on_event: Event | None = None,
    start: bool = True,
) -> Server:
    """Listen on `host`:`port` (0: any free port) and answer with `handler` until closed.

    Without `start` the port is taken, and nothing is accepted before `Server.start`.

    Without `admission` the vendor front's limits hold. Raises `Unavailable` if
    the address cannot be used.
    """
    shrink_tls_buffers()
    limits = limits or Limits()
    listener = open_listener(host, port, backlog=limits.backlog)
    listener.setblocking(False)
    _bound_buffers(listener, limits)
    server = Server(
        handler,
        listener,
        tls=tls,
        limits=limits,
        admission=admission
        or Admission(FRONT, clock=time.monotonic, draw=random.SystemRandom().random),
        on_event=on_event or (lambda event, detail: None),
    )
    if start:
        server.start()
    return server
