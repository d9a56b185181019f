"""Who a browser thinks it talks to, and on whose behalf: refused unless it is us.

Owns two checks. *Host* must be a name of this device or an IP address: a page
that had its own name resolved to our address (DNS rebinding) sends its own
name. Names that its owner gave it count, since no stranger can register one of those
(`limpet.crypto.names`). *Origin*, where a browser sends one, must be the same origin: another
site's page has no business here (there is no CORS). An IP address in Host is
always let through, because an address cannot be rebound.
"""

import functools
import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from limpet.errors import Rejected

__all__ = ["verify_origin"]

HOST_CHARACTERS = 261
"""Longest that is read: a name of 253 (RFC 1035, 2.3.4), brackets, a colon and a port."""


def verify_origin(
    *, host: str, origin: str | None, site: str | None, names: Collection[str]
) -> None:
    """Raise `Rejected("wrong-host" | "wrong-origin")` unless the request is meant for us.

    `site` is the header Sec-Fetch-Site (W3C Fetch Metadata), `names` are the device's own,
    in lower case.
    """
    if len(host) > HOST_CHARACTERS:
        raise Rejected("wrong-host", "the header host cannot be read")
    name, is_address = _read_host(host)
    if not is_address and name != "localhost" and name not in names:
        raise Rejected("wrong-host", "this device does not go by that name")
    if origin is not None and origin.lower() != f"https://{host.lower()}":
        raise Rejected("wrong-origin", "requests from other sites are refused")
    if site is not None and site not in ("same-origin", "none"):
        raise Rejected("wrong-origin", "requests from other sites are refused")


@functools.lru_cache(maxsize=64)
def _read_host(host: str) -> tuple[str, bool]:
    """The name in the header, and whether it is an address; clients repeat themselves."""
    name = _name_of(host)
    return name, _is_address(name)


def _name_of(host: str) -> str:
    try:
        parts = urlsplit(f"//{host}")
        plain = parts.hostname is not None and parts.path == "" and parts.username is None
        _ = parts.port  # raises for a port that is none
    except ValueError as error:
        raise Rejected("wrong-host", "the header host cannot be read") from error
    if not plain:
        raise Rejected("wrong-host", "the header host cannot be read")
    return str(parts.hostname)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
