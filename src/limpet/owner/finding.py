"""Which devices the local network tells of (multicast DNS, RFC 6762; DNS-SD, RFC 6763).

Owns the search. What is found is hearsay: anybody in the network can say anything, so nothing
is believed of it but an address to try. Who answers there is what its certificate says.
"""

import threading
import time
from dataclasses import dataclass

from limpet.errors import Unavailable

__all__ = ["Found", "find_devices"]

SERVICE = "_limpet._tcp.local."
MAX_FOUND = 256
ANSWER_SECONDS = 1.5  # for one device to say where it is
ANSWERS_SECONDS = 10.0  # for all together: whoever invents names does not hold the search up
TEXT_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Found:
    """One device that the network tells of."""

    name: str
    host: str
    model: str
    url: str


def find_devices(*, seconds: float, interfaces: list[str] | None = None) -> list[Found]:
    """Who announces itself within `seconds`, by name; it may take `ANSWERS_SECONDS` more to ask
    them all where they are. Raises `Unavailable` without a network.

    `interfaces` are the addresses to search from, by default all of this machine.
    """
    # Loaded here: it takes a while, and no other command needs it.
    from zeroconf import InterfaceChoice, ServiceBrowser, ServiceListener, Zeroconf

    names: set[str] = set()
    lock = threading.Lock()

    class Listener(ServiceListener):
        def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            with lock:
                if len(names) < MAX_FOUND:
                    names.add(name)

        def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            self.add_service(zc, type_, name)

        def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
            with lock:
                names.discard(name)

    try:
        client = Zeroconf(interfaces=interfaces or InterfaceChoice.All)
    except OSError as error:
        raise _no_network((error.strerror or "failed").lower()) from error
    except RuntimeError as error:  # what it says where no interface has an address
        raise _no_network("this machine is in no network") from error
    try:
        browser = ServiceBrowser(client, SERVICE, Listener())
        time.sleep(seconds)
        browser.cancel()
        with lock:
            listed = sorted(names)
        end = time.monotonic() + ANSWERS_SECONDS
        return [found for name in listed if (found := _resolve(client, name, end)) is not None]
    finally:
        client.close()


def _no_network(reason: str) -> Unavailable:
    hint = "join the device's network, or give `limpet owner claim` its address"
    return Unavailable(f"cannot search the local network: {reason}", hint=hint)


def _resolve(client: object, name: str, end: float) -> Found | None:
    from zeroconf import ServiceInfo, Zeroconf

    info = ServiceInfo(SERVICE, name)
    left = min(end - time.monotonic(), ANSWER_SECONDS)
    if not isinstance(client, Zeroconf) or left <= 0 or not info.request(client, left * 1000):
        return None
    addresses = info.parsed_scoped_addresses()
    if not addresses or not info.port:
        return None
    address = addresses[0]
    shown = f"[{address}]" if ":" in address else address
    model = (info.properties or {}).get(b"model") or b""
    return Found(
        name=_text(name.removesuffix(f".{SERVICE}")),
        host=_text((info.server or "").rstrip(".")),
        model=_text(model.decode("utf-8", "replace")),
        url=f"https://{shown}:{info.port}",
    )


def _text(said: str) -> str:
    """What a stranger said, fit for a terminal."""
    return "".join(one if one.isprintable() else "?" for one in said[:TEXT_CHARACTERS])
