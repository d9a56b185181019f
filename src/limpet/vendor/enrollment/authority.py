"""The operational authority: which device gets which certificate, and the record of it.

Owns the rules of issuing. Signs for the device that asks and for no other, only
for a key that no other device has, and never for one that is blocked.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from limpet.crypto.certificates import Issuer, issue_operational, load_issuer
from limpet.crypto.chains import load_certificates
from limpet.crypto.keys import spki_sha256
from limpet.crypto.requests import Purpose, VerifiedRequest, verify_request
from limpet.crypto.suites import Suite
from limpet.errors import Rejected, naming
from limpet.storage import read_bounded
from limpet.vendor.home import FORMER_FILE, Home
from limpet.vendor.store import Certificate, Database, Devices

from .identity import DeviceIdentity, IdentityKind, Unrecorded, certificate_sha256, identify

__all__ = ["CERTIFICATES_PER_HOUR", "Authority", "Enrollment", "approved_addresses"]

PEM_BYTES = 64 << 10
ADVICE = "restore online/ from a backup"
CERTIFICATES_PER_HOUR = 60
"""Issued to one device at most; a device needs two a month."""

LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """The certificates and the one key that enrollment needs."""

    suite: Suite
    operational: Issuer
    factory_pem: bytes
    roots_pem: bytes
    former_pem: bytes = b""  # operational authorities that were replaced

    @classmethod
    def load(cls, home: Home) -> "Authority":
        """From the `online` drawer. Raises `Unavailable` or `Rejected`."""

        def read(name: str) -> bytes:
            return read_bounded(home.online / name, max_bytes=PEM_BYTES)

        def read_certificate(name: str) -> bytes:
            with naming(home.online / name, hint=ADVICE):
                pem = read(name)
                load_certificates(pem)
                return pem

        with naming(home.online / "operational-ca.pem and .key", hint=ADVICE):
            operational = load_issuer(read("operational-ca.pem"), read("operational-ca.key"))
        former = home.online / FORMER_FILE
        return cls(
            suite=home.service_suite,
            operational=operational,
            factory_pem=read_certificate("factory-ca.pem"),
            roots_pem=read_certificate("device-root.pem"),
            former_pem=read_certificate(FORMER_FILE) if former.exists() else b"",
        )

    def identify(self, certificate_der: bytes, *, now: datetime) -> DeviceIdentity | Unrecorded:
        """The device behind a TLS connection. Raises `Rejected("unknown-certificate")`."""
        return identify(
            certificate_der,
            factory_pem=self.factory_pem,
            operational_pem=self.operational.certificate_pem(),
            roots_pem=self.roots_pem,
            former_pem=self.former_pem,
            now=now,
            suite=self.suite,
        )

    def certificates(self) -> bytes:
        """What `/cacerts` answers (RFC 7030, 4.1.3): the root, and this authority below it."""
        return self.roots_pem + self.operational.certificate_pem()


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """Issues operational certificates and records them."""

    authority: Authority
    database: Database
    models: tuple[str, ...]
    lifetime: timedelta

    def enroll(self, client: DeviceIdentity, csr_pem: bytes, *, now: datetime) -> bytes:
        """The LDevID for the request, with its issuer, as PEM.

        Numbered as they run: 1. the request is well-formed and signed by its own key; 2. it names
        the client itself; 3. it is for a key of its own: not the permanent one, not another
        device's; 4. the device is not blocked; 5. it has not had too many. Raises `Rejected`.
        """
        # 1. and 2.
        request = verify_request(csr_pem, suite=self.authority.suite)
        self._verify_subject(client, request)
        # 3.
        key = spki_sha256(request.public_key).hex()
        if client.kind is IdentityKind.PERMANENT and key == client.spki_sha256:
            raise Rejected("reused-key", "an operational key must not be the permanent one")
        with self.database.transaction() as connection:
            devices = Devices(connection)
            if devices.holder_of_key(key) not in (None, client.serial):
                raise Rejected("reused-key", "another device has a certificate for this key")
            # 4.
            if devices.see(client.serial, client.model, now=now).blocked_at is not None:
                raise Rejected("blocked", f"{client.serial} is blocked")
            # 5.
            recent = devices.count_certificates(client.serial, since=now - timedelta(hours=1))
            if recent >= CERTIFICATES_PER_HOUR:
                raise Rejected("too-many", "too many certificates within an hour")
            chain = self._issue(request, now)
            devices.add_certificate(_record(chain, request, key, now))
        return chain

    def verify_recorded(self, shown: Unrecorded) -> DeviceIdentity:
        """The device, if its certificate was issued here before its authority was replaced.

        Who stole that authority's key signs what it wants, and cannot write the record. Raises
        `Rejected("unknown-certificate")`.
        """
        with self.database.reading() as connection:
            holder = Devices(connection).holder_of_certificate(shown.sha256)
        if holder != shown.says.serial:
            message = "its authority was replaced, and the record does not have it"
            raise Rejected("unknown-certificate", message)
        return shown.says

    def _verify_subject(self, client: DeviceIdentity, request: VerifiedRequest) -> None:
        # RFC 7030, 4.2.2: a renewal keeps the subject; here every enrollment does.
        if (request.serial, request.model) != (client.serial, client.model):
            raise Rejected("wrong-device", "the request names another device than the client")
        if client.model not in self.models:
            raise Rejected("wrong-model", f"this service enrolls {', '.join(self.models)} only")

    def _issue(self, request: VerifiedRequest, now: datetime) -> bytes:
        addresses: tuple[str, ...] = ()
        if request.purpose is Purpose.SERVER:
            addresses = approved_addresses(request.addresses)
        return issue_operational(
            self.authority.operational,
            request,
            now=now,
            lifetime=self.lifetime,
            addresses=addresses,
            suite=self.authority.suite,
        )


def approved_addresses(asked: Sequence[str]) -> tuple[str, ...]:
    """Loopback, and those asked for that are private (RFC 1918, RFC 4193) or link-local.

    A device cannot prove that it holds a public address, so none is certified.
    """
    local = [
        str(address)
        for address in map(ipaddress.ip_address, asked)
        if (address.is_private or address.is_link_local) and not address.is_unspecified
    ]
    return tuple(dict.fromkeys([*LOOPBACK, *local]))


def _record(chain: bytes, request: VerifiedRequest, key: str, now: datetime) -> Certificate:
    return Certificate(
        sha256=certificate_sha256(chain),
        serial=request.serial,
        purpose=request.purpose.value,
        spki_sha256=key,
        issued_at=now,
        not_after=load_certificates(chain)[0].not_valid_after_utc,
    )
