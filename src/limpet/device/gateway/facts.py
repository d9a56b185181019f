"""What the gateway says about the device without asking anybody: read once, at the start.

Owns the public facts: identity, firmware, support, security contact.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime

from limpet.crypto.suites import CURRENT, Suite, TlsUse
from limpet.crypto.tls import available_groups
from limpet.device.gateway.bodies import AlgorithmsBody, IdentityBody, SupportBody
from limpet.device.link.identity import DeviceIdentity, load_identity
from limpet.device.link.start import Start
from limpet.errors import Rejected
from limpet.firmware.description import FirmwareDescription, load_description
from limpet.https.message import Response
from limpet.product import PRODUCT_FILE, Product, load_product, render_security_txt

__all__ = ["Facts", "SecurityTxt", "load_facts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The slot's and the device's own description."""

    identity: DeviceIdentity
    firmware: FirmwareDescription
    product: Product
    slot: str
    algorithms: AlgorithmsBody

    def body(self, *, claimed: bool, now: datetime) -> IdentityBody:
        """The answer to GET /v1/identity."""
        support = self.product.support
        return IdentityBody(
            maker=self.identity.maker,
            model=self.identity.model,
            hardware_revision=self.identity.hardware_revision,
            firmware_revision=self.firmware.version,
            serial=self.identity.serial,
            claimed=claimed,
            support=SupportBody(
                until=support.until, over=now.date() > support.until, text=support.text
            ),
            security_contact=self.product.security_contact.contacts,
        )

    def security_txt(self, now: datetime) -> str:
        """The file of RFC 9116; one whose date has come is still served, and says so itself."""
        try:
            return render_security_txt(self.product, now=now)
        except Rejected:
            contact = self.product.security_contact
            lines = [f"Contact: {uri}" for uri in contact.contacts]
            lines.append(f"Expires: {contact.expires.isoformat()}T00:00:00Z")
            return "\n".join(lines) + "\n"


@dataclass(slots=True)
class SecurityTxt:
    """The answer to GET /.well-known/security.txt, made once a minute at most: anybody may ask."""

    facts: Facts
    _made: tuple[datetime | None, Response] = (None, Response(503))

    def answer(self, now: datetime) -> Response:
        """RFC 9116, 3: text/plain, UTF-8."""
        minute = now.replace(second=0, microsecond=0)
        if self._made[0] != minute:
            text = self.facts.security_txt(minute).encode()
            headers = {"content-type": "text/plain; charset=utf-8"}
            self._made = (minute, Response(200, headers, text))
        return self._made[1]


def load_facts(start: Start) -> Facts:
    """Read them. Raises `Unavailable` or `Rejected`: a gateway without them does not start."""
    return Facts(
        identity=load_identity(start.root),
        firmware=load_description(start.slot_path),
        product=load_product(start.slot_path / PRODUCT_FILE),
        slot=start.slot,
        algorithms=_describe_algorithms(CURRENT),
    )


def _describe_algorithms(suite: Suite) -> AlgorithmsBody:
    asked = suite.tls_rules(TlsUse.LOCAL).groups
    usable = available_groups(asked)
    return AlgorithmsBody(
        suite=suite.name,
        version=suite.version,
        tls_library=ssl.OPENSSL_VERSION,
        tls_groups=usable,
        tls_groups_missing=tuple(group for group in asked if group not in usable),
        firmware_signatures=suite.firmware.offline,
    )
