"""The keeper's process: its four requests, and the order in which it starts.

Owns the one enrollment that may be under way; a new one replaces it. The identity
is made in factory mode only.
"""

from datetime import datetime
from pathlib import Path
from typing import NoReturn

from limpet.crypto.randomness import wait_until_ready
from limpet.crypto.suites import TlsUse
from limpet.crypto.tls import client_context
from limpet.device.confine import confine
from limpet.device.keeper._endorsement import (
    EndorsedRequest,
    Identity,
    verify_endorsable,
    verify_enrolled,
    verify_identity,
)
from limpet.device.keeper._exchange import Exchange, Reply
from limpet.device.keeper._floor import keep_time_floor
from limpet.device.keeper._hardware import load_settings, open_key_store
from limpet.device.keeper._store import KeyStore
from limpet.device.link import messages as m
from limpet.device.link.permits import Role
from limpet.device.link.role import Bus, run_role
from limpet.device.link.start import Start
from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded
from limpet.wire.enrollment import (
    REPLY_BYTES,
    REQUEST_HEADERS,
    SIMPLE_ENROLL,
    decode_certificates,
    encode_request,
)

__all__ = ["Keeper", "main"]

_ROOTS_BYTES = 64 << 10
_QUOTED_CHARACTERS = 200  # of a refusing server's answer, for the log


class Keeper:
    """The keeper's handlers over a key store. `time_floor` (UTC) is certainly past."""

    def __init__(self, store: KeyStore, *, trust: Path, time_floor: datetime) -> None:
        self._store = store
        self._trust = trust
        self._floor = time_floor
        self._asked: tuple[str, str] | None = None  # model and serial of the factory's request
        self._endorsed: EndorsedRequest | None = None
        self._exchange: Exchange | None = None

    async def generate(self, request: m.GenerateIdentity) -> m.Reply:
        """Make the key on this device; the request carries its public half."""
        try:
            csr = self._store.generate(model=request.model, serial=request.serial)
        finally:
            self._store.close()
        self._asked = (request.model, request.serial)
        return m.IdentityRequest(csr_pem=csr)

    async def store(self, request: m.StoreIdentity) -> m.Reply:
        """Keep the IDevID if it is for this key, this device and from the device root."""
        chain = request.chain_pem.encode("ascii", "replace")
        try:
            found = self._verified(chain)
        finally:
            self._store.close()
        if (found.model, found.serial) != self._asked:
            raise Rejected("not-mine", "the certificate names another device")
        self._store.store_chain(chain)
        return m.Done()

    async def enroll_start(self, request: m.EnrollStart) -> m.Reply:
        """Begin simple enrollment (RFC 7030, 4.2) as this device."""
        self._end_enrollment()
        try:
            return m.EnrollStep(send=self._begin(request))
        except BaseException:
            self._end_enrollment()
            raise

    def _begin(self, request: m.EnrollStart) -> bytes:
        chain = self._store.chain()
        self._endorsed = verify_endorsable(request.csr_pem, self._verified(chain))
        context = client_context(
            roots_pem=self._read("service-root.pem"),
            use=TlsUse.VENDOR,
            chain_pem=chain,
            key=self._store.tls_key(),
            time_floor=lambda: self._floor,
        )
        self._exchange = Exchange(
            context,
            host=request.host,
            target=SIMPLE_ENROLL,
            headers=REQUEST_HEADERS,
            body=encode_request(request.csr_pem),
            reply_bytes=REPLY_BYTES,
        )
        return self._exchange.begin()

    def _end_enrollment(self) -> None:
        self._exchange = self._endorsed = None
        self._store.close()

    async def enroll_feed(self, request: m.EnrollFeed) -> m.Reply:
        """Take the server's bytes; the last step carries the certificate chain."""
        exchange, endorsed = self._exchange, self._endorsed
        if exchange is None or endorsed is None:
            raise Rejected("no-enrollment", "no enrollment is under way")
        try:
            send = exchange.feed(request.received)
        except BaseException:
            self._end_enrollment()
            raise
        if exchange.reply is None:
            return m.EnrollStep(send=send)
        self._end_enrollment()
        chain = self._accept(exchange.reply, endorsed)
        return m.EnrollStep(send=send, chain_pem=chain.decode("ascii"), finished=True)

    def _accept(self, reply: Reply, endorsed: EndorsedRequest) -> bytes:
        if reply.status == 202:  # RFC 7030, 4.2.3: ask again later
            raise Unavailable("the vendor will decide about the certificate later")
        if reply.status != 200:
            said = reply.body[:_QUOTED_CHARACTERS].decode("utf-8", "replace")
            raise Rejected("enrollment-refused", f"the vendor answered {reply.status}: {said}")
        certificates = decode_certificates(reply.body)
        roots = self._read("device-root.pem")
        return verify_enrolled(certificates, endorsed, roots, floor=self._floor)

    def _verified(self, chain: bytes) -> Identity:
        return verify_identity(
            chain,
            self._read("device-root.pem"),
            floor=self._floor,
            public_key=self._store.public_key(),
        )

    def _read(self, name: str) -> bytes:
        return read_bounded(self._trust / name, max_bytes=_ROOTS_BYTES)


def main() -> NoReturn:
    """The keeper's process."""
    run_role(Role.KEEPER, _serve)


async def _serve(start: Start, bus: Bus) -> None:
    wait_until_ready()
    store = open_key_store(load_settings(start.root), start.private)
    store.prepare()
    keeper = Keeper(
        store,
        trust=start.slot_path / "trust",
        time_floor=keep_time_floor(start),
    )
    if start.factory:
        bus.on(m.GenerateIdentity, keeper.generate)
        bus.on(m.StoreIdentity, keeper.store)
    else:
        bus.on(m.EnrollStart, keeper.enroll_start)
        bus.on(m.EnrollFeed, keeper.enroll_feed)
    await bus.ready(confine(Role.KEEPER, start))
    if start.factory:
        await bus.until_stopped()
    else:
        await bus.rest_when_idle(lambda: m.MAX_REST_SECONDS)  # between enrollments it has no use
