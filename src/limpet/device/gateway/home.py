"""The certificate that the owner's home gives the device, and what the home is told of it.

Owns these operations of the API, and the names by which the device may be asked. Checks
nothing that the dispatcher has checked.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from limpet.crypto.keys import spki_sha256
from limpet.crypto.names import home_name, own_name, pinned_name
from limpet.device.gateway import bodies as b
from limpet.device.gateway.announcement import Announcement
from limpet.device.gateway.answers import json_answer
from limpet.device.gateway.asking import Asked
from limpet.device.gateway.certificate import Identity
from limpet.device.gateway.household import Household
from limpet.device.gateway.routes import Operation
from limpet.https.message import Response, problem

__all__ = ["HomeOperations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeOperations:
    """The handlers. `identity` gives the operational certificate that is served now."""

    serial: str
    household: Household
    announcement: Announcement
    identity: Callable[[], Identity]

    def table(self) -> Mapping[Operation, Callable[[Asked], Awaitable[Response]]]:
        """Every operation's handler; a test holds it against the routes."""
        return {
            Operation.READ_ANNOUNCEMENT: self.read_announcement,
            Operation.SET_ANNOUNCEMENT: self.set_announcement,
            Operation.READ_HOUSEHOLD: self.read_household,
            Operation.REQUEST_HOUSEHOLD: self.request_household,
            Operation.INSTALL_HOUSEHOLD: self.install_household,
            Operation.REMOVE_HOUSEHOLD: self.remove_household,
        }

    def names(self) -> frozenset[str]:
        """The names of this device, in lower case: its own, and those of the household."""
        shown = self.household.shown
        given = shown.hostnames if shown is not None else ()
        mine = (own_name(self.serial), home_name(self.serial), pinned_name(self.serial))
        return frozenset((*mine, *given))

    async def read_announcement(self, asked: Asked) -> Response:
        """The setting, and the names."""
        return json_answer(200, self._announced())

    async def set_announcement(self, asked: Asked) -> Response:
        """Durable, and done, before the answer."""
        body: b.AnnouncementSettingBody = asked.body
        if body.enabled and not self.announcement.declared:
            return problem(409, "not-declared", "this product does not announce itself")
        await self.announcement.choose(enabled=body.enabled)
        return json_answer(200, self._announced())

    async def read_household(self, asked: Asked) -> Response:
        """Names, times and pins."""
        return json_answer(200, self._body())

    async def request_household(self, asked: Asked) -> Response:
        """For the key that is kept; durable before the answer."""
        body = b.HouseholdRequestBody(csr_pem=self.household.request().decode())
        return json_answer(asked.match.route.status, body)

    async def install_household(self, asked: Asked) -> Response:
        """Durable, and served to new connections, before the answer."""
        body: b.HouseholdChainBody = asked.body
        self.household.install(body.chain_pem.encode())
        return json_answer(200, self._body())

    async def remove_household(self, asked: Asked) -> Response:
        """Durable before the answer."""
        self.household.remove()
        return Response(204)

    def _announced(self) -> b.AnnouncementBody:
        said = self.announcement
        return b.AnnouncementBody(
            enabled=said.enabled,
            declared=said.declared,
            name=said.content.instance,
            host=own_name(self.serial),
        )

    def _body(self) -> b.HouseholdBody:
        shown, key = self.household.shown, self.household.key
        operational = _pin(spki_sha256(self.identity().key.public_key()))
        if shown is None or key is None:
            return b.HouseholdBody(
                installed=False, operational_pin=operational, pinned_name=pinned_name(self.serial)
            )
        return b.HouseholdBody(
            installed=True,
            hostnames=shown.hostnames,
            addresses=shown.addresses,
            not_before=shown.leaf.not_valid_before_utc,
            not_after=shown.not_after,
            household=_common_name(shown.authority),
            pin=_pin(spki_sha256(key.public_key())),
            operational_pin=operational,
            pinned_name=pinned_name(self.serial),
        )


def _pin(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
