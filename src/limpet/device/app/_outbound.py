"""A product's way out: HTTPS to the hosts that its design file gives to the app.

Owns which endpoints those are, and the client over the dialer's connections. There is no other
way out of the app's process, and no option that skips the check of the peer's certificate.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from limpet.device.app._dialer import Dialer, Endpoint
from limpet.errors import Misuse, Rejected
from limpet.product import Product, User
from limpet.storage import read_bounded

if TYPE_CHECKING:
    from limpet.https.client import HttpsClient

__all__ = ["Outbound", "endpoints_of"]

MAX_ROOTS = 256 << 10
CONNECT_SECONDS, TOTAL_SECONDS = 5.0, 10.0
"""A whole exchange ends before the app would count as hanging."""


def endpoints_of(product: Product) -> tuple[Endpoint, ...]:
    """What the design file lets the app call: the interfaces with `used_by = "app"`."""
    return tuple(
        Endpoint(interface.id, host, interface.port or 0)
        for interface in product.interfaces
        if interface.used_by is User.APP
        for host in interface.hosts
    )


@dataclass(frozen=True, slots=True)
class Outbound:
    """The app's declared connections; `roots` is the slot's file of the vendor's service root."""

    dialer: Dialer
    roots: Path | None = None
    is_over: bool = False  # the support period, after which this product calls out no more

    def __post_init__(self) -> None:
        """Load TLS where there is a way out: later, a confined process loads no more code, and
        without one, an app does without."""
        if self.dialer.endpoints:
            "a.example".encode("idna")  # a library, and ssl encodes the peer's name with it
            import limpet.crypto.tls
            import limpet.https.client  # noqa: F401

    def client(
        self, interface: str, *, host: str | None = None, roots_pem: bytes | None = None
    ) -> "HttpsClient":
        """An HTTPS client for the declared `interface`, for its first host or the one named.

        The peer must prove its name against `roots_pem`, by default the vendor's root. Raises
        `Misuse` for what the design file does not declare, `Rejected("support-over")` once the
        product's support period is over and its design file says that this then stops.
        """
        if self.is_over:
            raise Rejected(
                "support-over",
                "the support period is over: functions that use the Internet have stopped",
            )
        endpoint = next(
            (
                one
                for one in self.dialer.endpoints
                if one.interface == interface and host in (None, one.host)
            ),
            None,
        )
        if endpoint is None:
            raise Misuse(
                f"product.toml declares no such way out for the app: {interface} {host or ''}",
                hint='an outbound interface with used_by = "app"',
            )
        if roots_pem is None:
            if self.roots is None:
                raise Misuse("there are no roots here; give roots_pem")
            roots_pem = read_bounded(self.roots, max_bytes=MAX_ROOTS)
        from limpet.crypto.suites import TlsUse
        from limpet.crypto.tls import client_context
        from limpet.https.client import HttpsClient, Timeouts

        return HttpsClient(
            f"https://{endpoint.host}:{endpoint.port}",
            tls=client_context(roots_pem=roots_pem, use=TlsUse.OUTBOUND),
            timeouts=Timeouts(connect=CONNECT_SECONDS, total=TOTAL_SECONDS),
            connect=lambda seconds: self.dialer.dial(endpoint, seconds=seconds),
        )
