"""What is audited: the device's address, and whatever else the auditor was given.

Owns the inputs and the store of measurements, so that two checks that need the
same measurement take it once. Must never hold a judgement.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from limpet.errors import Rejected, Unavailable

__all__ = ["Endpoint", "Observations", "Target", "parse_endpoint"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, and under which name (as `curl --resolve`)."""

    host: str
    port: int
    address: str = ""  # empty: resolve `host`
    address_port: int = 0

    @property
    def peer(self) -> tuple[str, int]:
        """The address and port that a socket connects to."""
        return self.address or self.host, self.address_port or self.port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


def parse_endpoint(url: str, resolve: tuple[str, ...] = ()) -> Endpoint:
    """The endpoint of an `https://HOST[:PORT]` URL; `resolve` holds `HOST:PORT=ADDRESS:PORT`.

    Raises `Rejected("bad-url")`.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError as error:
        raise Rejected("bad-url", f"{url!r} is not a URL: {error}") from error
    if parts.scheme != "https" or not host or parts.path not in ("", "/"):
        raise Rejected("bad-url", f"{url!r} is not an https URL", hint="give https://HOST:PORT")
    for entry in resolve:
        name, _, place = entry.partition("=")
        address, _, at = place.rpartition(":")
        if not address or not at.isdigit():
            raise Rejected("bad-url", f"{entry!r} is not HOST:PORT=ADDRESS:PORT")
        if name == f"{host}:{port}":
            return Endpoint(host, port, address.strip("[]"), int(at))
    return Endpoint(host, port)


class Observations:
    """Measurements already taken, each once, also when several threads ask at the same time.

    A measurement that failed is not taken again: its error is raised to everyone.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[object, Future[Any]] = {}

    def take(self, key: object, measure: Callable[[], T]) -> T:
        """The result of `measure()`, taken now or earlier under the same key."""
        with self._lock:
            future = self._taken.get(key)
            if mine := future is None:
                future = self._taken[key] = Future()
        if mine:
            try:
                future.set_result(measure())
            except BaseException as error:
                future.set_exception(error)
        result: T = future.result()
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Everything that the auditor was given. A path or secret that was not given is None."""

    device: Endpoint | None = None
    siblings: tuple[Endpoint, ...] = ()  # further devices of the same product, to compare with
    fresh: Endpoint | None = None  # a device that nobody has claimed
    device_root_pem: bytes | None = None
    token: str | None = field(default=None, repr=False)  # of the owner
    account: str = "owner"  # whose password is guessed at
    label: str | None = field(default=None, repr=False)  # the text of the label's QR code
    label_path: Path | None = None  # the label's artwork (SVG)
    device_dir: Path | None = None
    product_dir: Path | None = None
    vendor: Endpoint | None = None
    service_root_pem: bytes | None = None
    vendor_dir: Path | None = None
    now: Callable[[], datetime]  # in UTC
    observations: Observations = field(default_factory=Observations, repr=False, compare=False)
    doors: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(2), repr=False, compare=False
    )  # connections of the quiet checks at a time: an audit must not look like a flood

    def observe(self, measure: "Callable[[Target], T]") -> T:
        """What `measure(self)` sees, measured once for all checks."""
        return self.observations.take(measure, lambda: measure(self))

    def need(self, value: T | None, what: str) -> T:
        """`value`, or `Unavailable` that says which input was not given."""
        if value is None:
            raise Unavailable(f"not looked at: no {what} given")
        return value
