"""A tunnel through an HTTP proxy (CONNECT, RFC 9110, 9.3.6) for TLS that ends at the peer.

Owns the request and what its answer means. The proxy sees the peer's name and port, and how many
bytes go; it looks the name up, and can do nothing but cut. Credentials (Basic, RFC 7617) go to it
in clear, as every proxy of this kind takes them.
"""

import base64
import socket
import time
from dataclasses import dataclass, field

import h11

from limpet.errors import Unavailable

__all__ = ["PROXY_FAULT", "Proxy", "open_tunnel"]

PROXY_FAULT = "proxy"
"""The reason of every `Unavailable` that a proxy is the cause of."""

_HEAD_BYTES = 16 << 10
_READ = 4096
_CREDENTIALS = frozenset({401, 407})
"""What a proxy says that wants to know who asks; tinyproxy says 401 to wrong credentials."""

_MEANINGS = {
    403: ("does not let this device reach {peer}", "allow CONNECT to it in the proxy's settings"),
    405: ("makes no tunnels", "use an HTTP proxy that permits CONNECT"),
    500: ("cannot reach {peer}", ""),  # tinyproxy, for a name that it cannot find
    502: ("cannot reach {peer}", ""),
    503: ("cannot reach {peer}", ""),
    504: ("waited in vain for {peer}", ""),
}


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where it is, and what it wants to know; without a user it is asked without credentials."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """For messages; never with credentials."""
        return f"{self.host}:{self.port}"


def open_tunnel(raw: socket.socket, proxy: Proxy, host: str, port: int, *, deadline: float) -> None:
    """Make the connection `raw` to `proxy` one to `host`:`port`, before `deadline` (monotonic).

    Raises `Unavailable` with what the proxy said, `TimeoutError` and other `OSError`.
    """
    peer = f"{host}:{port}"
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)
    headers = [("host", peer)]
    if proxy.user:
        pair = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode("ascii")
        headers.append(("proxy-authorization", f"Basic {pair}"))
    request = http.send(h11.Request(method="CONNECT", target=peer, headers=headers)) or b""
    raw.settimeout(_left(deadline))
    raw.sendall(request + (http.send(h11.EndOfMessage()) or b""))
    try:
        status = _read_status(raw, http, proxy, deadline)
    except h11.RemoteProtocolError as error:
        message = f"the proxy {proxy.name} does not answer HTTP: {error}"
        raise _unavailable(message, hint="is it a SOCKS or an HTTPS proxy?") from error
    if status in _CREDENTIALS:
        has = "refuses the user name or password" if proxy.user else "wants a user name"
        raise _unavailable(
            f"the proxy {proxy.name} {has} ({status})", hint="set them for the proxy"
        )
    if not 200 <= status < 300:
        said, hint = _MEANINGS.get(status, ("makes no tunnel to {peer}", ""))
        raise _unavailable(f"the proxy {proxy.name} {said.format(peer=peer)} ({status})", hint=hint)
    if http.trailing_data[0]:
        # The client speaks first in TLS: this is not the peer's.
        raise _unavailable(f"the proxy {proxy.name} speaks in the place of {peer}")


def _read_status(raw: socket.socket, http: h11.Connection, proxy: Proxy, deadline: float) -> int:
    while True:
        event = http.next_event()
        if isinstance(event, h11.Response):
            return event.status_code
        if event is h11.NEED_DATA:
            raw.settimeout(_left(deadline))
            data = raw.recv(_READ)
            if not data:
                raise _unavailable(f"the proxy {proxy.name} closed the connection")
            http.receive_data(data)


def _unavailable(message: str, *, hint: str = "") -> Unavailable:
    return Unavailable(message, hint=hint, reason=PROXY_FAULT)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
