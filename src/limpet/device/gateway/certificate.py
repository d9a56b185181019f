"""The gateway's own key and certificate (LDevID, IEEE 802.1AR): made here, renewed for ever.

Owns the operational key, which never leaves this process's directory, and the
timing of enrollment. The key stays the same from one certificate to the next,
so that a client may pin it. Until the first certificate is there, a self-signed
one serves, so that a device without its vendor still starts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from limpet.crypto.certificates import issue_operational, make_root, self_made_name
from limpet.crypto.chains import load_certificates, possible_moment, verify_chain
from limpet.crypto.keys import TlsKey, generate_key, key_to_pem, tls_key_from_pem
from limpet.crypto.policy import verify_key
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.device.link import messages as m
from limpet.device.link.renewal import wait_for_renewal
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.storage import read_bounded, write_atomic

__all__ = ["Enrollment", "Identity", "decide_retry"]

KEY_FILE, CHAIN_FILE = "ldevid-key.pem", "ldevid.pem"
MAX_PEM = 32 << 10
ENROLL_SECONDS = 60.0
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 2.0, 3600.0
LEAST_PAUSE_SECONDS = 5.0  # between two enrollments that both succeeded
SELF_SIGNED_LIFE = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What TLS serves: `enrolled` says that the device's own authority has signed it."""

    chain_pem: bytes
    key: TlsKey
    enrolled: bool
    not_before: datetime
    not_after: datetime


def decide_retry(failures: int, *, draw: float) -> float:
    """Seconds until the next try after so many failures in a row: doubling, half at random."""
    pause = min(FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16), LONGEST_RETRY_SECONDS)
    return pause * (0.5 + draw / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrollment:
    """Keeps the identity; `ask` sends a request on to the updater."""

    directory: Path
    roots_pem: bytes  # trust/device-root.pem of the slot
    model: str
    serial: str
    addresses: Sequence[str]  # that the certificate shall name
    built_at: datetime  # of the firmware: this time is certainly past
    clock: Callable[[], datetime]
    draw: Callable[[], float]
    ask: Callable[[m.EnrollCertificate], Awaitable[m.Reply]]
    log: Callable[[str, str], None]

    def load(self) -> Identity:
        """The stored identity, or a self-signed one for the stored or a new key."""
        key = self._load_key()
        try:
            stored = read_bounded(self.directory / CHAIN_FILE, max_bytes=MAX_PEM)
            return self._verified(stored, key)
        except LimpetError:
            return self._self_signed(key)

    async def run(self, identity: Identity, *, adopt: Callable[[Identity], None]) -> None:
        """Enroll when there is none, renew in time, `adopt` each new one, until cancelled."""
        failures = 0
        if identity.enrolled:
            await self._wait(identity, fresh=False)
        while True:
            try:
                identity = await self._enroll(identity.key)
            except LimpetError as error:
                failures += 1
                pause = decide_retry(failures, draw=self.draw())
                self.log("enrollment-failed", f"{error.message}; again in {pause:.0f} s")
                await asyncio.sleep(pause)
                continue
            failures = 0
            adopt(identity)
            self.log("enrolled", f"until {identity.not_after:%Y-%m-%d %H:%M} UTC")
            # A certificate that is due at once (a vendor's mistake) must not make a loop of it.
            await asyncio.sleep(LEAST_PAUSE_SECONDS)
            await self._wait(identity, fresh=True)

    async def _wait(self, identity: Identity, *, fresh: bool) -> None:
        await wait_for_renewal(
            identity.not_before,
            identity.not_after,
            fresh=fresh,
            clock=self.clock,
            draw=self.draw(),
            sleep=asyncio.sleep,
        )

    async def _enroll(self, key: TlsKey) -> Identity:
        csr = self._request(key)
        reply = await self.ask(m.EnrollCertificate(csr_pem=csr.decode()))
        if isinstance(reply, m.Refused):
            raise Unavailable(reply.message or reply.reason)
        if not isinstance(reply, m.Certificate):
            raise Unavailable("the updater did not answer with a certificate")
        chain = reply.chain_pem.encode()
        identity = self._verified(chain, key)
        write_atomic(self.directory / CHAIN_FILE, chain)
        return identity

    def _verified(self, chain: bytes, key: TlsKey) -> Identity:
        """The chain leads to the device root, and names this key and this device."""
        moment = possible_moment(chain, floor=self.built_at.astimezone(UTC))
        found = verify_chain(chain, self.roots_pem, now=moment, purpose=Purpose.SERVER)
        if found.leaf.public_key() != key.public_key() or found.serial != self.serial:
            raise Rejected("wrong-certificate", "the certificate is for another key or device")
        return Identity(
            chain_pem=chain,
            key=key,
            enrolled=True,
            not_before=found.leaf.not_valid_before_utc,
            not_after=found.not_after,
        )

    def _self_signed(self, key: TlsKey) -> Identity:
        """A leaf under an authority that is forgotten at once: encryption, no authentication."""
        now = self._now()
        nobody = make_root(self_made_name(self.serial), now=now, days=366)
        chain = issue_operational(
            nobody,
            verify_request(self._request(key)),
            now=now,
            lifetime=SELF_SIGNED_LIFE,
            addresses=self.addresses,
        )
        leaf = load_certificates(chain)[0]
        return Identity(
            chain_pem=chain,
            key=key,
            enrolled=False,
            not_before=leaf.not_valid_before_utc,
            not_after=leaf.not_valid_after_utc,
        )

    def _request(self, key: TlsKey) -> bytes:
        return make_request(
            key,
            model=self.model,
            serial=self.serial,
            purpose=Purpose.SERVER,
            addresses=self.addresses,
        )

    def _load_key(self) -> TlsKey:
        path = self.directory / KEY_FILE
        try:
            key = tls_key_from_pem(read_bounded(path, max_bytes=MAX_PEM))
            verify_key(key.public_key())
            return key
        except Unavailable:
            pass  # the first start, or after a factory reset
        except Rejected as error:
            # Damaged, or of a curve that the suite has retired. It identifies nothing by itself:
            # a new one is enrolled in its place.
            self.log("key-replaced", error.message)
        key = generate_key()
        write_atomic(path, key_to_pem(key))
        return key

    def _now(self) -> datetime:
        return max(self.clock(), self.built_at.astimezone(UTC))
