"""The bounds of the HTTPS server, as named sets.

Owns the numbers. A number that limits what a stranger may spend is never
written anywhere else.
"""

from dataclasses import dataclass

__all__ = ["DEVICE", "FRONT", "Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection may take; times in seconds, sizes in bytes.

    Each deadline covers its whole phase, not one read: a client that sends a
    byte every second runs out of time all the same.
    """

    # Apache's RequestReadTimeout gives handshake 0 (none), header 20 and body 20 s, longer while
    # bytes come; ours are half of that, and nothing makes them longer.
    handshake_seconds: float = 10.0  # accept to end of the TLS handshake
    header_seconds: float = 10.0  # first byte of a request to the end of its header
    body_seconds: float = 10.0  # the whole body of a request
    handler_seconds: float = 30.0  # from whole request to response
    write_seconds: float = 10.0  # the whole response, and on top of it …
    write_bytes_per_second: int = 16 << 10  # … its length at this rate
    idle_seconds: float = 30.0  # between requests; nginx's keepalive_timeout is 75
    shutdown_seconds: float = 2.0  # TLS close, and requests under way when the server closes
    header_bytes: int = 16 << 10  # as h11's own bound; RFC 9112, 3: take lines of 8,000 at least
    body_bytes: int = 64 << 10
    requests_per_connection: int = 1000  # nginx's keepalive_requests
    query_fields: int = 16
    backlog: int = 64  # connections that the kernel holds for us
    # What the kernel may hold of one connection's bytes; it doubles the number (socket(7)). Left
    # to itself it lets a client that sends faster than we read fill 6 MiB: with 24 of them 49 MB.
    receive_buffer_bytes: int = 32 << 10
    send_buffer_bytes: int | None = None  # None: as large as the line needs


DEVICE = Limits(handler_seconds=65.0, backlog=256, send_buffer_bytes=64 << 10)
"""The gateway of a device; an update check over a slow line takes up to a minute."""

FRONT = Limits(idle_seconds=15.0, body_bytes=256 << 10, backlog=512, receive_buffer_bytes=128 << 10)
"""The embedded front of a vendor's service; images need time, hence the rate and not a total."""
