"""The updater's process: what it serves to the gateway, and how it is put together.

Owns the order of the start (load, confine, ready, work), the TLS clients and the
renewal of the updater's own certificate. Decides nothing about releases.
"""

import asyncio
import os
import threading
import time
from datetime import UTC, datetime

from limpet.crypto.keys import TlsKey
from limpet.crypto.requests import Purpose, make_request
from limpet.crypto.suites import TlsUse
from limpet.crypto.tls import client_context
from limpet.device.confine import confine
from limpet.device.link import messages as m
from limpet.device.link.destinations import destination
from limpet.device.link.permits import Role
from limpet.device.link.renewal import decide_pause, wait_for_renewal
from limpet.device.link.role import Bus
from limpet.device.link.start import Start
from limpet.device.updater.certificate import (
    OwnCertificate,
    load_certificate,
    load_key,
    parse_certificate,
    save_certificate,
)
from limpet.device.updater.device import Device, load_device
from limpet.device.updater.engine import Engine
from limpet.device.updater.enrollment import Errand
from limpet.device.updater.policy import default_policy, load_policy
from limpet.device.updater.reports import Delivery, deliver
from limpet.device.updater.rest import LEAST_SECONDS
from limpet.device.updater.schedule import seeded_random
from limpet.device.updater.source import HTTPS_PORT, HttpsSource, make_client, vendor_host
from limpet.device.updater.surroundings import Surroundings
from limpet.device.updater.telling import Level
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.https.proxy import Proxy
from limpet.storage import make_directory

__all__ = ["serve"]

_CHECK_NOW_SECONDS = 8.0
"""How long `CheckNow` waits for the check; a longer one goes on by itself."""

_FIRST_ENROLLMENT_SECONDS = 1.0
_ENROLLMENT_BACKOFF = (1.0, 3600.0)
_REPORT_BACKOFF = (5.0, 3600.0)
_SUPPORT_SECONDS = 3600.0
_HEALTH_SECONDS = 10.0
_SUPERVISOR_SECONDS = 1900.0  # it may have to read a large slot, or RAUC to write one
_ANEW_SECONDS = 30.0  # to be laid down in order; a service manager's role just ends
_ANEW_PAUSE_SECONDS = 1.0


async def serve(start: Start, bus: Bus) -> None:
    """Run the role until it is stopped."""
    make_directory(start.private)
    make_directory(start.staging)
    updater = _Updater(start, bus, load_device(start))
    updater.register()
    await bus.ready(confine(Role.UPDATER, start, proxy_port=updater.proxy_port))
    await updater.work()


class _Updater:
    """The parts of the process."""

    def __init__(self, start: Start, bus: Bus, device: Device) -> None:
        self._bus, self._device, self._start = bus, device, start
        self._random = seeded_random(device.identity.serial, os.urandom(32))
        self._key: TlsKey = load_key(start.private)
        self._certificate = load_certificate(start.private, self._key)
        self._host = vendor_host(device.product.vendor.hosts)
        self._delivery: Delivery | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._ended, self._port_changed = threading.Event(), asyncio.Event()
        self._errand = Errand(
            lambda request: bus.call(Role.KEEPER, request),
            destination(self._host, HTTPS_PORT, start.resolve, self._proxy),
        )
        self._owners_proxy: m.UpdateProxy | None = _load_proxy(device)
        self.proxy_port = self._owners_proxy.port if self._owners_proxy else None
        self._engine = Engine(device, self._surroundings())

    def register(self) -> None:
        """Serve the gateway's requests."""
        self._bus.on(m.ReadUpdateStatus, self._read_status)
        self._bus.on(m.SetUpdatePolicy, self._set_policy)
        self._bus.on(m.PostponeUpdates, self._postpone)
        self._bus.on(m.CheckNow, self._check_now)
        self._bus.on(m.InstallNow, self._install_now)
        self._bus.on(m.EnrollCertificate, self._enroll_for_gateway)

    async def work(self) -> None:
        """Check, judge, report and renew until cancelled; an error ends the process."""
        try:
            await self._engine.start()
            await asyncio.gather(
                self._engine.run(),
                self._keep_certificate(),
                self._keep_reporting(),
                self._keep_telling_of_support(),
                self._bus.rest_when_idle(self._may_rest),
                self._follow_port(),
            )
        finally:
            self._ended.set()  # a transfer under way ends at its next chunk
            self._engine.close()

    # --- requests

    async def _read_status(self, request: m.ReadUpdateStatus) -> m.Reply:
        del request
        return self._engine.status()

    async def _set_policy(self, request: m.SetUpdatePolicy) -> m.Reply:
        self._engine.set_policy(request.policy)
        self._owners_proxy = self._engine.policy.proxy
        self._port_changed.set()
        return m.Done()

    async def _postpone(self, request: m.PostponeUpdates) -> m.Reply:
        self._engine.postpone(request.days)
        return m.Done()

    async def _check_now(self, request: m.CheckNow) -> m.Reply:
        del request
        check = asyncio.ensure_future(self._engine.check())
        self._tasks.add(check)
        check.add_done_callback(self._tasks.discard)
        await asyncio.wait({check}, timeout=_CHECK_NOW_SECONDS)
        if check.done():
            check.result()
        return m.Done()

    async def _install_now(self, request: m.InstallNow) -> m.Reply:
        del request
        if not self._engine.has_looked:  # since the start: what is held is not known yet
            await self._check_now(m.CheckNow())
        self._engine.consent()
        return m.Done()

    async def _enroll_for_gateway(self, request: m.EnrollCertificate) -> m.Reply:
        return m.Certificate(chain_pem=await self._errand.run(request.csr_pem))

    # --- surroundings

    def _surroundings(self) -> Surroundings:
        loop = asyncio.get_running_loop()
        declared = self._device.product.update.health
        patience = _HEALTH_SECONDS + len(declared.functions) * declared.answer_seconds

        def log(event: str, detail: str, level: Level) -> None:
            loop.call_soon_threadsafe(lambda: self._bus.log(event, detail[:1024], level=level))

        return Surroundings(
            source=self._source(),
            delivery=self._current_delivery,
            supervisor=lambda request: self._bus.call(
                Role.SUPERVISOR, request, timeout=_SUPERVISOR_SECONDS
            ),
            health=lambda: self._bus.call(Role.APP, m.CheckHealth(), timeout=patience),
            log=log,
            wall=lambda: datetime.now(UTC),
            monotonic=time.monotonic,
            sleep=asyncio.sleep,
            random=self._random,
            pause=self._pause,
        )

    def _pause(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            raise Unavailable("this process ends")

    def _source(self) -> HttpsSource:
        """Anonymous: the repository is the same for every device, and may be a plain mirror."""
        tls = client_context(
            roots_pem=self._device.service_roots,
            use=TlsUse.VENDOR,
            time_floor=self._time_floor,
        )
        return HttpsSource(
            make_client(
                self._host,
                tls=tls,
                allowed=self._device.product.vendor.hosts,
                resolve=self._start.resolve,
                resume=True,
                proxy=self._proxy,
            )
        )

    def _time_floor(self) -> datetime:
        return self._engine.time_floor

    def _current_delivery(self) -> Delivery | None:
        if self._certificate is None:
            return None
        if self._delivery is None:
            tls = client_context(
                roots_pem=self._device.service_roots,
                use=TlsUse.VENDOR,
                chain_pem=self._certificate.chain_pem,
                key=self._key,
                time_floor=self._time_floor,
            )
            client = make_client(
                self._host,
                tls=tls,
                allowed=self._device.product.vendor.hosts,
                resolve=self._start.resolve,
                proxy=self._proxy,
            )
            self._delivery = deliver(client)
        return self._delivery

    async def _keep_reporting(self) -> None:
        """Send what waits soon after the start, and again with patience; for ever."""
        shortest, longest = _REPORT_BACKOFF
        failures = 0
        while True:
            pause = min(shortest * 2.0 ** min(failures, 16), longest)
            await asyncio.sleep(pause * (0.5 + self._random()))
            failures = 0 if await self._engine.flush() else failures + 1

    async def _keep_telling_of_support(self) -> None:
        """See that the end of support is told and obeyed when it comes; for ever.

        Hourly, because a clock that is set moves the end without a check.
        """
        while True:
            wait = _SUPPORT_SECONDS
            try:
                wait = min(await self._engine.tell_support() + 1, wait)
            except LimpetError as error:
                self._bus.log("support-not-told", str(error)[:1024], level="warning")
            await asyncio.sleep(wait)

    def _may_rest(self) -> float | None:
        """Until the next check or the earliest renewal; not while the clock cannot tell which."""
        certificate, wall = self._certificate, datetime.now(UTC)
        if certificate is None or not certificate.not_before <= wall <= certificate.not_after:
            return None
        renewal = decide_pause(
            certificate.not_before, certificate.not_after, wall=wall, fresh=False, draw=0.0
        )
        try:
            check = self._engine.rest() if renewal >= LEAST_SECONDS else None
        except LimpetError as error:
            self._bus.log("rest-not-kept", str(error)[:1024], level="warning")
            return None
        return None if check is None else min(check, renewal)

    # --- the proxy

    def _proxy(self) -> Proxy | None:
        """For the next connection: the owner's, else the place's."""
        owners, place = self._owners_proxy, self._start.proxy
        if owners is not None:
            return Proxy(owners.host, owners.port, owners.user, owners.password or "")
        return Proxy(*place) if place is not None else None

    async def _follow_port(self) -> None:
        """Start anew for a proxy at a port that this process is not allowed to reach."""
        while True:
            await self._port_changed.wait()
            self._port_changed.clear()
            wanted = self._owners_proxy
            if wanted is None or wanted.port == self.proxy_port:
                continue
            self._bus.log("proxy-port", f"starting anew, to be allowed port {wanted.port}")
            end = time.monotonic() + _ANEW_SECONDS
            while not await self._bus.rest(_ANEW_PAUSE_SECONDS):
                if time.monotonic() > end:
                    raise Unavailable("ends, to be started with the proxy's port")
                await asyncio.sleep(_ANEW_PAUSE_SECONDS)

    # --- the updater's own certificate

    async def _keep_certificate(self) -> None:
        """Enroll, and renew at two thirds of the life; for ever."""
        wait = self._random() * _FIRST_ENROLLMENT_SECONDS
        failures = 0
        if self._certificate is not None:
            await self._wait_for_renewal(self._certificate, fresh=False)
        while True:
            await asyncio.sleep(wait)
            try:
                enrolled = await self._enroll()
                failures, wait = 0, _FIRST_ENROLLMENT_SECONDS
                await self._engine.flush()
                await self._wait_for_renewal(enrolled, fresh=True)
            except LimpetError as error:
                self._bus.log("enrollment-failed", str(error)[:1024], level="warning")
                shortest, longest = _ENROLLMENT_BACKOFF
                wait = min(shortest * 2.0 ** min(failures, 16), longest)
                wait *= 0.5 + self._random()
                failures += 1

    async def _wait_for_renewal(self, certificate: OwnCertificate, *, fresh: bool) -> None:
        await wait_for_renewal(
            certificate.not_before,
            certificate.not_after,
            fresh=fresh,
            clock=lambda: datetime.now(UTC),
            draw=self._random(),
            sleep=asyncio.sleep,
        )

    async def _enroll(self) -> OwnCertificate:
        identity = self._device.identity
        request = make_request(
            self._key, model=identity.model, serial=identity.serial, purpose=Purpose.CLIENT
        )
        chain = await self._errand.run(request.decode("ascii"))
        renewed = parse_certificate(chain.encode("ascii"), self._key)
        _verify_newer(renewed, self._certificate)
        save_certificate(self._start.private, renewed)
        self._certificate, self._delivery = renewed, None
        self._bus.log("enrolled", f"client certificate until {renewed.not_after:%Y-%m-%d}")
        return renewed


def _load_proxy(device: Device) -> m.UpdateProxy | None:
    """The owner's proxy, before the process is confined to its port."""
    try:
        default = default_policy(device.product.update)
        return load_policy(device.places.policy, default=default).proxy
    except Rejected:
        return None  # damaged: the engine says so


def _verify_newer(renewed: OwnCertificate, known: OwnCertificate | None) -> None:
    """A server that answers with the old certificate would be asked again at once, for ever."""
    if known is not None and renewed.not_after <= known.not_after:
        raise Rejected("not-renewed", "the vendor answered with a certificate that ends no later")
