"""Where a device connects to: a declared host's address, and only one that such a host can have.

Owns the look-up of a name and the judgement of what the name server answers. A name of the
Internet that leads into the owner's network, or back into the device, is refused before a
packet is sent: a lying name server gets no port of the neighbourhood knocked at.

Where there is a proxy, its name alone is looked up, and it looks up the host's: what the device
then knows of the host is its certificate.
"""

import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from limpet.device.link.start import parse_address
from limpet.errors import Rejected, Unavailable
from limpet.https.proxy import PROXY_FAULT, Proxy, open_tunnel
from limpet.product import is_local_name

__all__ = ["Destination", "FindProxy", "destination", "verify_address", "verify_proxy_address"]

Address = tuple[str, int]
LookUp = Callable[..., Iterable[tuple[Any, Any, Any, Any, Any]]]
"""As `socket.getaddrinfo`."""

FindProxy = Callable[[], Proxy | None]
"""The proxy that is to be used for the next connection, if any."""

MOST_ADDRESSES = 8
"""Of one host; a name server could send hundreds, to be tried one after the other."""

_TRANSLATED = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last four bytes
_LOCAL_USE = IPv6Network("64:ff9b:1::/48")  # RFC 8215: not global, which older Pythons do not know


@dataclass(frozen=True, slots=True)
class Destination:
    """A declared host and port; `override` is where boot was told to go instead."""

    host: str
    port: int
    override: Address | None = None
    proxy: FindProxy = lambda: None
    resolve: Mapping[str, str] = field(default_factory=dict)  # for the proxy
    judge: Callable[[str, str], None] = field(default=lambda host, at: verify_address(host, at))

    def addresses(self, look_up: LookUp = socket.getaddrinfo) -> Sequence[Address]:
        """Where to connect, in the name server's order; blocks while it is asked.

        Raises `Unavailable` if there is no answer, `Rejected("address-not-allowed")` if it names
        no address that the host can have.
        """
        if self.override is not None:
            return (self.override,)
        try:
            answers = look_up(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no name"
            raise Unavailable(f"cannot find {self.host}: {reason.lower()}") from error
        allowed, refusal = [], None
        for answer in answers:
            address = str(answer[4][0])
            try:
                self.judge(self.host, address)
            except Rejected as error:
                refusal = error
            else:
                allowed.append((address, self.port))
        if not allowed:
            raise refusal or Unavailable(f"{self.host} has no address")
        return tuple(dict.fromkeys(allowed))[:MOST_ADDRESSES]

    def connect(self, seconds: float) -> socket.socket:
        """A connection within `seconds`, the look-up not counted; by the proxy if there is one.

        Raises as `addresses`, `Unavailable` if the proxy does not play its part, and `OSError` of
        the last address tried.
        """
        proxy = self.proxy()
        if proxy is None:
            return self._connect(seconds)
        deadline = time.monotonic() + seconds
        way = destination(proxy.host, proxy.port, self.resolve)
        try:
            raw = replace(way, judge=verify_proxy_address)._connect(seconds)
            try:
                open_tunnel(raw, proxy, self.host, self.port, deadline=deadline)
            except BaseException:
                raw.close()
                raise
        except OSError as error:
            why = (error.strerror or str(error) or "failed").lower()
            message = f"cannot use the proxy {proxy.name}: {why}"
            raise Unavailable(message, reason=PROXY_FAULT) from error
        return raw

    def _connect(self, seconds: float) -> socket.socket:
        deadline = time.monotonic() + seconds
        failure: OSError = TimeoutError("timed out")
        for address in self.addresses():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                return socket.create_connection(address, timeout=left)
            except OSError as error:
                failure = error
        raise failure


def destination(
    host: str, port: int, resolve: Mapping[str, str], proxy: FindProxy = lambda: None
) -> Destination:
    """The destination `host`:`port`, or what `resolve` (see `Start.resolve`) puts in its place.

    `proxy` is asked at each connection.
    """
    target = resolve.get(f"{host}:{port}")
    override = parse_address(target) if target else None
    return Destination(host, port, override, proxy, resolve)


def verify_proxy_address(name: str, address: str) -> None:
    """Raise `Rejected("address-not-allowed")` if no proxy can be at `address`.

    Its owner named it: it may be anywhere but in this device, everywhere or nowhere.
    """
    try:
        found = _innermost(ip_address(address.partition("%")[0]))
    except ValueError:
        raise Rejected("address-not-allowed", f"{name} leads to no address") from None
    if found.is_loopback or found.is_multicast or found.is_unspecified or found.is_reserved:
        raise Rejected("address-not-allowed", f"the proxy {name} leads to {address}")


def verify_address(host: str, address: str) -> None:
    """Raise `Rejected("address-not-allowed")` unless a host of this name can be at `address`.

    1. Nobody's host is this device, every host, or none. 2. A host of the Internet has an
    address of the Internet. 3. A local name (`is_local_name`) may have any other.
    """
    try:
        found = _innermost(ip_address(address.partition("%")[0]))
    except ValueError:
        raise Rejected("address-not-allowed", f"{host} leads to no address") from None
    # 1.
    nowhere = found.is_loopback or found.is_multicast or found.is_unspecified
    if isinstance(found, IPv4Address):
        nowhere = nowhere or found.is_reserved  # the broadcast address among them
    # 2. and 3.
    public = found.is_global and not (found.version == 6 and found in _LOCAL_USE)
    if nowhere or not (public or is_local_name(host)):
        raise Rejected(
            "address-not-allowed",
            f"{host} leads to {address}, which is not an address of that host",
            hint="the name server lies, or the host is local: name it .internal or .home.arpa",
        )


def _innermost(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that a translator on the way would make of `address`."""
    if isinstance(address, IPv6Address):
        if address in _TRANSLATED:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address
