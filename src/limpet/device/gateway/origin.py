"""Who a browser thinks it talks to, and on whose behalf: refused unless it is us.

Owns two checks. *Host* must be a name of this device or an IP address: a page
that had its own name resolved to our address (DNS rebinding) sends its own
name. *Origin*, where a browser sends one, must be the same origin: another
site's page has no business here (there is no CORS). An IP address in Host is
always let through, because an address cannot be rebound.
"""

import ipaddress
from urllib.parse import urlsplit

from limpet.errors import Rejected

__all__ = ["verify_origin"]


def verify_origin(*, host: str, origin: str | None, site: str | None, serial: str) -> None:
    """Raise `Rejected("wrong-host" | "wrong-origin")` unless the request is meant for us.

    `site` is the header Sec-Fetch-Site (W3C Fetch Metadata).
    """
    name = _name_of(host)
    if name not in ("localhost", f"{serial.lower()}.local") and not _is_address(name):
        raise Rejected("wrong-host", "this device does not go by that name")
    if origin is not None and origin.lower() != f"https://{host.lower()}":
        raise Rejected("wrong-origin", "requests from other sites are refused")
    if site is not None and site not in ("same-origin", "none"):
        raise Rejected("wrong-origin", "requests from other sites are refused")


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
