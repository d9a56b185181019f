"""The HTTPS client: one request at a time, every byte and every second bounded.

Owns the client side of TLS and HTTP/1.1 (h11 keeps the state). Follows no
redirect, keeps no cookie, reads no proxy from the environment and trusts no
root but those of its TLS context. A deadline covers the whole exchange: a
server that drips its answer runs out of time.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

import h11

from limpet.errors import Misuse, Rejected, Unavailable

__all__ = [
    "TOO_SLOW",
    "UNREACHABLE",
    "ClientResponse",
    "HttpsClient",
    "StreamedResponse",
    "Timeouts",
]

_READ = 64 << 10
_HEADER_BYTES = 32 << 10
_PORT = 443
_RESUME_SECONDS = 86400.0
UNREACHABLE, TOO_SLOW = "unreachable", "too-slow"
"""The reasons of an `Unavailable` peer."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds: to connect with TLS, for a whole exchange, and between chunks of a stream."""

    connect: float = 10.0
    total: float = 30.0
    stream_pause: float = 20.0


@dataclass(frozen=True, slots=True)
class ClientResponse:
    """A whole answer; header names in lower case, the last of a repeated one counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """The head of an answer, and its body in chunks; the caller counts the bytes."""

    status: int
    headers: Mapping[str, str]
    chunks: Iterator[bytes]


class HttpsClient:
    """Requests to one origin over one kept connection. Not for several threads.

    `resolve` maps "host:port" to "address:port" as curl's --resolve does: the
    name that TLS checks stays the URL's. `connect`, given seconds, opens the TCP connection in
    the place of this process. With `resume` a new connection takes up the TLS session of the one
    before (RFC 8446, 2.2), for at most a day after the server's certificate was seen: fewer
    bytes, and no certificate in them. `receive_buffer` is how many bytes the kernel holds that
    were not taken yet, instead of up to megabytes. Raises `Unavailable` when the peer
    cannot be reached in time, `Rejected("untrusted-server")` when its
    certificate does not hold, `Rejected("malformed" | "too-large")` for a bad answer.
    """

    def __init__(
        self,
        base_url: str,
        *,
        tls: ssl.SSLContext,
        resolve: Mapping[str, str] = _NOTHING,
        timeouts: Timeouts | None = None,
        connect: Callable[[float], socket.socket] | None = None,
        resume: bool = False,
        receive_buffer: int | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "https" or not parts.hostname or parts.query or parts.username:
            raise Misuse(f"{base_url!r} is not a plain https URL")
        self._host, self._port = parts.hostname, parts.port or _PORT
        self._prefix = parts.path.rstrip("/")
        self._authority = parts.netloc
        self._tls, self._timeouts = tls, timeouts or Timeouts()
        self._address = _address(resolve, self._host, self._port)
        self._open = connect or self._open_directly
        self._receive_buffer = receive_buffer
        self._socket: ssl.SSLSocket | None = None
        self._http: h11.Connection | None = None
        self._heard = False  # something of the answer to the request under way
        self._resume = resume
        self._session: ssl.SSLSession | None = None
        self._verified_at = -_RESUME_SECONDS  # when a certificate was last seen, monotonic

    def get(
        self, path: str, *, max_bytes: int, headers: Mapping[str, str] = _NOTHING
    ) -> ClientResponse:
        """GET `path`; an answer longer than `max_bytes` is `Rejected("too-large")`."""
        return self.request("GET", path, max_bytes=max_bytes, headers=headers)

    def post(
        self, path: str, body: bytes, *, max_bytes: int, headers: Mapping[str, str] = _NOTHING
    ) -> ClientResponse:
        """POST `body` to `path`."""
        return self.request("POST", path, body, max_bytes=max_bytes, headers=headers)

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        max_bytes: int,
        headers: Mapping[str, str] = _NOTHING,
    ) -> ClientResponse:
        """Any method; one retry where a kept connection turns out to be closed by the server.

        Of a method that must not be repeated (RFC 9110, 9.2.2) nothing is sent twice: only what
        could be seen before it was sent makes this open a new connection for it.
        """
        deadline = time.monotonic() + self._timeouts.total
        head = self._exchange(method, path, body, headers, deadline)
        parts, size = [], 0
        for chunk in self._chunks(lambda: deadline):
            size += len(chunk)
            if size > max_bytes:
                self.close()
                raise Rejected("too-large", f"{self._host} answered more than {max_bytes} bytes")
            parts.append(chunk)
        return ClientResponse(head.status_code, _headers(head), b"".join(parts))

    @contextlib.contextmanager
    def stream(
        self,
        path: str,
        *,
        offset: int = 0,
        end: int | None = None,
        wait: Callable[[], float] | None = None,
        headers: Mapping[str, str] = _NOTHING,
    ) -> Iterator[StreamedResponse]:
        """GET `path` from byte `offset` to `end` (exclusive), or to its end, chunk by chunk.

        Each chunk comes within `wait()` seconds, asked before each; by default `stream_pause`.
        With an offset, an answer that is not 206 from exactly there is refused
        (RFC 9110, 15.3.7), except 416 and other errors, which the caller sees. A server that
        ignores the range may answer the whole where the whole was asked.
        """
        wanted = dict(headers)
        if offset or end is not None:
            wanted["range"] = f"bytes={offset}-{end - 1 if end is not None else ''}"
        deadline = time.monotonic() + self._timeouts.total
        head = self._exchange("GET", path, b"", wanted, deadline)
        answer = _headers(head)
        whole = offset and head.status_code == 200
        shifted = head.status_code == 206 and not answer.get("content-range", "").startswith(
            f"bytes {offset}-"
        )
        if whole or shifted:
            self.close()
            raise Rejected("malformed", f"{self._host} did not answer the range that was asked")
        pause = wait or (lambda: self._timeouts.stream_pause)
        try:
            yield StreamedResponse(
                head.status_code, answer, self._chunks(lambda: time.monotonic() + pause())
            )
        finally:
            if self._http is not None and self._http.their_state is not h11.IDLE:
                self.close()

    def close(self) -> None:
        """Close the kept connection; the next request opens a new one."""
        if self._socket is not None:
            if self._resume and self._http is not None:
                self._part(self._socket)
            self._socket.close()
        self._socket = self._http = None

    def _part(self, tls: ssl.SSLSocket) -> None:
        """Keep the session, and say goodbye: a server forgets one that ended without."""
        self._session = tls.session
        tls.settimeout(0.0)
        with contextlib.suppress(OSError):
            tls.unwrap()  # is sent; nobody waits for the answer

    def peer_certificate(self) -> bytes | None:
        """The DER certificate of the connected server, for pinning; `None` before a request."""
        return self._socket.getpeercert(binary_form=True) if self._socket else None

    def __enter__(self) -> "HttpsClient":
        """Use as a context to close it in the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], deadline: float
    ) -> h11.Response:
        if self._socket is not None and _is_over(self._socket):
            self.close()
        kept, self._heard = self._socket is not None, False
        try:
            return self._try_exchange(method, path, body, headers, deadline)
        except Unavailable as error:
            # The server may have closed it just now (RFC 9112, 9.3.1): then nothing of an answer
            # came. Only a method that may be repeated (RFC 9110, 9.2.2) is sent again.
            stale = kept and not self._heard and error.reason == UNREACHABLE
            if not stale or method not in ("GET", "HEAD", "PUT", "DELETE"):
                raise
        return self._try_exchange(method, path, body, headers, deadline)

    def _try_exchange(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], deadline: float
    ) -> h11.Response:
        lines = [("host", self._authority), ("accept-encoding", "identity"), *headers.items()]
        if body or method in ("POST", "PUT"):
            lines.append(("content-length", str(len(body))))
        with self._errors():
            if self._socket is None:
                self._connect(deadline)
            http = self._http
            if http is None:
                raise Misuse("no connection")
            target = self._prefix + path
            data = http.send(h11.Request(method=method, target=target, headers=lines)) or b""
            if body:
                data += http.send(h11.Data(data=body)) or b""
            data += http.send(h11.EndOfMessage()) or b""
            self._send(data, deadline)
            while True:
                event = self._next(http, deadline)
                if isinstance(event, h11.Response):
                    return event
                if not isinstance(event, h11.InformationalResponse):
                    raise Unavailable(f"{self._host} closed the connection", reason=UNREACHABLE)

    def _chunks(self, deadline_of: Callable[[], float]) -> Iterator[bytes]:
        with self._errors():
            http = self._http
            while http is not None:
                event = self._next(http, deadline_of())
                if isinstance(event, h11.Data):
                    yield bytes(event.data)
                    continue
                if not isinstance(event, h11.EndOfMessage):
                    raise Unavailable(f"{self._host} broke its answer off", reason=UNREACHABLE)
                break
        if http is not None and http.our_state is h11.DONE and http.their_state is h11.DONE:
            http.start_next_cycle()
        else:
            self.close()

    def _connect(self, deadline: float) -> None:
        limit = min(deadline, time.monotonic() + self._timeouts.connect)
        fresh = time.monotonic() < self._verified_at + _RESUME_SECONDS
        session, self._session = self._session if fresh else None, None  # each is used once
        raw = self._open(_left(limit))
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._receive_buffer is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
            raw.settimeout(_left(limit))
            tls = self._tls.wrap_socket(
                raw,
                server_hostname=self._host,
                do_handshake_on_connect=False,
                session=session,
            )
        except BaseException:
            raw.close()
            raise
        self._socket = tls
        tls.settimeout(_left(limit))
        tls.do_handshake()
        if not tls.session_reused:
            self._verified_at = time.monotonic()
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_BYTES)

    def _open_directly(self, seconds: float) -> socket.socket:
        return socket.create_connection(self._address, timeout=seconds)

    def _send(self, data: bytes, deadline: float) -> None:
        view = memoryview(data)
        while view:
            tls = self._bounded(deadline)
            view = view[tls.send(view[:_READ]) :]

    def _next(self, http: h11.Connection, deadline: float) -> object:
        while True:
            event = http.next_event()
            if event is not h11.NEED_DATA:
                return event
            data = self._bounded(deadline).recv(_READ)
            if not data and http.their_state is h11.SEND_RESPONSE:
                raise Unavailable(f"{self._host} closed the connection", reason=UNREACHABLE)
            self._heard = True
            http.receive_data(data)
            if not data:
                try:
                    return http.next_event()
                except h11.RemoteProtocolError as error:
                    raise Unavailable(
                        f"{self._host} broke its answer off", reason=UNREACHABLE
                    ) from error

    def _bounded(self, deadline: float) -> ssl.SSLSocket:
        if self._socket is None:
            raise Unavailable(f"the connection to {self._host} is closed", reason=UNREACHABLE)
        self._socket.settimeout(_left(deadline))
        return self._socket

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn every library error into ours; a broken exchange closes the connection."""
        where = f"{self._host} port {self._port}"
        try:
            yield
        except (Unavailable, Misuse):
            self.close()
            raise
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise Rejected(
                "untrusted-server",
                f"the certificate of {where} does not hold: {error.verify_message}",
            ) from error
        except h11.RemoteProtocolError as error:
            self.close()
            raise Rejected("malformed", f"{where} does not answer HTTP: {error}") from error
        except h11.LocalProtocolError as error:
            self.close()
            raise Misuse(f"a request that cannot be sent: {error}") from error
        except TimeoutError as error:
            self.close()
            raise Unavailable(f"{where} did not answer in time", reason=TOO_SLOW) from error
        except ssl.SSLError as error:
            self.close()
            reason = (error.reason or "failed").lower().replace("_", " ")
            raise Unavailable(f"TLS with {where} failed: {reason}", reason=UNREACHABLE) from error
        except OSError as error:
            self.close()
            reason = (error.strerror or str(error) or "failed").lower()
            raise Unavailable(f"cannot reach {where}: {reason}", reason=UNREACHABLE) from error


def _is_over(tls: ssl.SSLSocket) -> bool:
    """Whether the peer has ended this idle connection; without waiting, and with nothing sent.

    What it said unasked makes the connection no better: no answer to us can follow it.
    """
    tls.settimeout(0.0)
    try:
        tls.recv(1)
    except ssl.SSLWantReadError:  # at most session tickets, which are taken
        return False
    except OSError:
        return True
    return True


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _headers(head: h11.Response) -> Mapping[str, str]:
    return {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}


def _address(resolve: Mapping[str, str], host: str, port: int) -> tuple[str, int]:
    target = resolve.get(f"{host}:{port}")
    if target is None:
        return host, port
    address, separator, target_port = target.rpartition(":")
    if not separator or not target_port.isdigit():
        raise Misuse(f"{target!r} is not address:port")
    return address.strip("[]"), int(target_port)
