"""One HTTPS exchange without a socket: bytes in, bytes out (docs/adr/0030).

Owns a TLS 1.3 client over memory buffers and one HTTP/1.1 request and reply over
h11. Whoever moves the bytes sees ciphertext only and can do no more than cut it.
"""

import ssl
from collections.abc import Sequence

import h11

from limpet.errors import Rejected, Unavailable

__all__ = ["Exchange", "Reply"]

RECEIVED_BYTES = 256 << 10
"""What a server may send in all, handshake included."""

_READ_BYTES = 16 << 10
_HEADER_BYTES = 16 << 10


class Reply:
    """A complete reply."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body


class Exchange:
    """POST `body` to `target` of `host`; `feed` until `reply` is there."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        host: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        reply_bytes: int,
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_BYTES)
        self._request = h11.Request(
            method="POST",
            target=target,
            headers=[
                ("Host", host),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
                *headers,
            ],
        )
        self._body = body
        self._reply_bytes = reply_bytes
        self._received = 0
        self._shaken = False
        self._status = 0
        self._parts = b""
        self.reply: Reply | None = None

    def begin(self) -> bytes:
        """The first bytes to send."""
        return self._advance()

    def feed(self, data: bytes) -> bytes:
        """Take what the server sent (empty: it closed); the bytes to send now.

        Raises `Rejected("untrusted-server" | "tls-failed" | "malformed-reply" | "too-large")`,
        `Unavailable` if the server closed too early.
        """
        self._received += len(data)
        if self._received > RECEIVED_BYTES:
            raise Rejected("too-large", f"the server sent over {RECEIVED_BYTES} bytes")
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return self._advance()

    def _advance(self) -> bytes:
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
                self._send_request()
            while self.reply is None:
                self._receive(self._tls.read(_READ_BYTES))
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError as error:
            message = f"the server's certificate was refused: {error.verify_message}"
            raise Rejected("untrusted-server", message) from error
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError) as error:
            self._closed(error)
        except ssl.SSLError as error:
            raise Rejected("tls-failed", f"TLS failed: {error.reason or 'unknown'}") from error
        except h11.RemoteProtocolError as error:
            raise Rejected("malformed-reply", f"not an HTTP reply: {error}") from error
        return self._outgoing.read()

    def _send_request(self) -> None:
        for event in (self._request, h11.Data(data=self._body), h11.EndOfMessage()):
            self._tls.write(self._http.send(event) or b"")

    def _receive(self, plain: bytes) -> None:
        """Hand decrypted bytes (empty: end of stream) to h11."""
        self._http.receive_data(plain)
        while self.reply is None:
            event = self._http.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                if not plain:
                    raise Unavailable("the server closed before its reply was complete")
                return
            if isinstance(event, h11.Response):
                self._status = event.status_code
            elif isinstance(event, h11.Data):
                self._parts += bytes(event.data)
                if len(self._parts) > self._reply_bytes:
                    raise Rejected("too-large", f"a reply over {self._reply_bytes} bytes")
            elif isinstance(event, h11.EndOfMessage):
                self.reply = Reply(self._status, self._parts)
            elif isinstance(event, h11.ConnectionClosed):
                raise Unavailable("the server closed before its reply")

    def _closed(self, error: ssl.SSLError) -> None:
        if not self._shaken:
            raise Unavailable("the server closed during the handshake") from error
        self._receive(b"")
