"""Outbound connections as declared: a process beside the app opens them, the app cannot.

Owns the table of endpoints that the design file gives the app, and the small process that
connects to one of them when it is asked for its number. It looks names up, connects, and passes
the open connection back (unix(7), SCM_RIGHTS). The app itself has no right to open a socket of
the Internet, so whatever code runs in it reaches these hosts and ports and no other. The process
reads four bytes of the app at a time and never a byte of a connection.
"""

import contextlib
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from limpet.device.link.destinations import Destination, destination
from limpet.errors import LimpetError, Misuse, Rejected, Unavailable

__all__ = ["Dialer", "Endpoint"]

MAX_ENDPOINTS = 16
CONNECT_SECONDS = 3.0
"""How long one connection may take to be made, its name's look-up not counted."""

REASON_BYTES = 200
HIGHEST_DESCRIPTOR = 4096
_REQUEST = struct.Struct(">HH")  # number of the request, number of the endpoint
_REPLY = struct.Struct(">H?")  # number of the request, whether a connection comes with it


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One host and TCP port of a declared interface; `interface` is its id."""

    interface: str
    host: str
    port: int


class Dialer:
    """Connections to `endpoints` and to nothing else.

    `resolve` maps "host:port" to "address:port" (see `Start.resolve`).
    """

    def __init__(self, endpoints: Sequence[Endpoint], *, resolve: Mapping[str, str]) -> None:
        if len(endpoints) > MAX_ENDPOINTS:
            raise Rejected(
                "too-many-endpoints", f"an app calls at most {MAX_ENDPOINTS} hosts and ports"
            )
        self.endpoints = tuple(endpoints)
        self._destinations = tuple(
            destination(endpoint.host, endpoint.port, resolve) for endpoint in endpoints
        )
        self._lock = threading.Lock()
        self._link: socket.socket | None = None
        self._number = 0

    @property
    def ports(self) -> tuple[int, ...]:
        """The TCP ports that the process connects to."""
        targets = (where.override or (where.host, where.port) for where in self._destinations)
        return tuple(sorted({port for _, port in targets}))

    def start(self, confine: Callable[[], object]) -> None:
        """Start the process if the product declares a flow of the app's.

        It calls `confine` first. To be called once, while this process has one thread.
        Raises `Unavailable`.
        """
        if not self.endpoints:
            return
        try:
            ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
            child = os.fork()
        except OSError as error:
            raise Unavailable(f"cannot start the dialer: {error.strerror}") from error
        if child == 0:
            _serve(theirs, self._destinations, confine)
        theirs.close()
        if not ours.recv(1):  # it says that it is confined, or is gone
            raise Unavailable("cannot start the dialer: it ended at its start")
        self._link = ours

    def dial(self, endpoint: Endpoint, *, seconds: float) -> socket.socket:
        """A connection to `endpoint` within `seconds`. Raises `Unavailable`, `Misuse`."""
        if endpoint not in self.endpoints or self._link is None:
            raise Misuse(f"{endpoint.host} port {endpoint.port} is not declared for the app")
        with self._lock:
            return self._ask(self._link, self.endpoints.index(endpoint), seconds)

    def _ask(self, link: socket.socket, index: int, seconds: float) -> socket.socket:
        self._number = (self._number + 1) % 0x10000
        deadline = time.monotonic() + seconds
        try:
            link.settimeout(seconds)
            link.send(_REQUEST.pack(self._number, index))
            while True:
                link.settimeout(max(deadline - time.monotonic(), 0.001))
                data, descriptors, _, _ = socket.recv_fds(link, _REPLY.size + REASON_BYTES, 1)
                found = [socket.socket(fileno=descriptor) for descriptor in descriptors]
                if len(data) < _REPLY.size:
                    raise Unavailable("the dialer is gone")
                number, connected = _REPLY.unpack_from(data)
                if number == self._number and connected and found:
                    return found[0]
                for late in found:  # of a request that was given up
                    late.close()
                if number == self._number:
                    raise Unavailable(data[_REPLY.size :].decode("utf-8", "replace"))
        except TimeoutError:
            raise Unavailable("no connection in time") from None
        except OSError as error:
            raise Unavailable(f"the dialer is gone: {error.strerror}") from error


def _serve(
    link: socket.socket, destinations: Sequence[Destination], confine: Callable[[], object]
) -> NoReturn:
    """The whole life of the process."""
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, link.fileno())
        os.closerange(link.fileno() + 1, HIGHEST_DESCRIPTOR)
        "a.example".encode("idna")  # the resolver's codec is loaded while files can be read
        confine()
        link.send(b"1")
        while len(request := link.recv(_REQUEST.size + 1)) > 0:
            if len(request) == _REQUEST.size:
                number_of_request, index = _REQUEST.unpack(request)
                _connect(link, number_of_request, index, destinations)
    finally:
        os._exit(0)


def _connect(
    link: socket.socket, number: int, index: int, destinations: Sequence[Destination]
) -> None:
    if index >= len(destinations):
        link.send(_REPLY.pack(number, False) + b"not declared")
        return
    connection = None
    try:
        connection = destinations[index].connect(CONNECT_SECONDS)
        connection.settimeout(None)
        socket.send_fds(link, [_REPLY.pack(number, True)], [connection.fileno()])
    except (OSError, LimpetError) as error:
        words = error.message if isinstance(error, LimpetError) else error.strerror or "failed"
        reason = words.lower().encode()[:REASON_BYTES]
        link.send(_REPLY.pack(number, False) + reason)
    finally:
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()
