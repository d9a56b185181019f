"""`limpet vendor serve`: the listening server, and the clock's work each second.

Owns the process's life: check everything, listen, say so, serve until told to
stop, end cleanly. A failure of the clock's work is logged and tried again; it
never ends the service.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import random

from starlette.applications import Starlette

from limpet.crypto.chains import load_certificates
from limpet.crypto.suites import TlsUse
from limpet.crypto.tls import server_context
from limpet.errors import LimpetError, naming
from limpet.https.admission import FRONT as FRONT_ADMISSION
from limpet.https.admission import Admission
from limpet.https.limits import FRONT as FRONT_LIMITS
from limpet.https.message import Request, Response
from limpet.https.server import Server, serve
from limpet.product import Product, load_product
from limpet.storage import read_bounded
from limpet.vendor.enrollment import Authority, Enrollment
from limpet.vendor.fleet import Intake, RateLimiter
from limpet.vendor.fleet.rate import REPORTS
from limpet.vendor.home import Home
from limpet.vendor.pages import MudFiles, PublicModel, Site, load_mud, render_site, write_site
from limpet.vendor.repository import Repository
from limpet.vendor.rollout import Rollout, tick
from limpet.vendor.store import Database

from .app import make_app
from .asgi import call_asgi
from .static import StaticFiles
from .work import Worker

__all__ = ["Service", "run_service"]

PEM_BYTES = 64 << 10
TICK_SECONDS = 1.0
REST = 9.0  # times the work: the clock takes a tenth of the worker at most
MAX_REST_SECONDS = 15.0  # but a halt and a page come as soon as that, however large the fleet
WARN_DAYS = 60
PAGES_SECONDS = 60.0  # how old a rendered page may be
REPOSITORY_PREFIX = "/repository/"
TIMESTAMP = "metadata/timestamp.json"

Log = Callable[[str, str], None]  # event, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """All parts of the running service, checked and loaded."""

    home: Home
    product: Product
    database: Database
    repository: Repository
    others: tuple[Product, ...]  # of the models that came later
    rollouts: tuple[Rollout, ...]  # of each model
    authority: Authority
    tls: ssl.SSLContext
    clock: Callable[[], datetime]

    @classmethod
    def load(
        cls, home: Home, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> "Service":
        """Open everything. Raises `Unavailable` or `Rejected` with what is missing or damaged."""
        database = Database.open(home.database)
        repository = Repository(home, clock)
        repository.verify_keys()
        authority = Authority.load(home)
        designs = []
        for one in map(home.of, home.settings.models):
            with naming(one.product_file, hint="restore online/ from a backup"):
                designs.append(load_product(one.product_file))
        return cls(
            home=home,
            product=designs[0],
            others=tuple(designs[1:]),
            database=database,
            repository=repository,
            rollouts=tuple(
                Rollout(home=one, database=database, repository=Repository(one, clock), clock=clock)
                for one in map(home.of, home.settings.models)
            ),
            authority=authority,
            tls=_load_tls(home, authority),
            clock=clock,
        )

    def render(self) -> Site:
        """The public pages as they are now."""
        return render_site(
            self.product,
            self.repository.support(),
            now=self.clock(),
            canonical_host=self.home.settings.hostnames[0],
            mud=self.mud(self.product),
            others=[
                PublicModel(
                    design,
                    Repository(self.home.of(design.model.name), self.clock).support(),
                    self.mud(design),
                )
                for design in self.others
            ],
        )

    def published_at(self) -> int:
        """When something was last published in the repository: the time of its newest file, ns."""
        try:
            return (self.home.repository / TIMESTAMP).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def mud(self, product: Product) -> MudFiles | None:
        """The MUD file of `product` as it is now; none for one without a host."""
        if not product.vendor.hosts:
            return None
        file = self.home.of(product.model.name).product_file
        changed_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        return load_mud(product, self.home.mud, now=self.clock(), changed_at=changed_at)

    def work(self) -> None:
        """What is due now: each rollout's next step, metadata about to expire."""
        for rollout in self.rollouts:
            tick(rollout)
        self.repository.refresh_timestamp()


def _load_tls(home: Home, authority: Authority) -> ssl.SSLContext:
    certificate, key = home.online / "service.pem", home.online / "service.key"
    advice = "restore both from a backup; limpet vendor renew makes a new certificate for the key"
    with naming(key, hint=advice):
        read_bounded(key, max_bytes=PEM_BYTES)
    with naming(f"{certificate} and service.key", hint=advice):
        return server_context(
            read_bounded(certificate, max_bytes=PEM_BYTES),
            key,
            suite=home.service_suite,
            use=TlsUse.VENDOR,
            client_roots_pem=authority.roots_pem,
        )


class _Pages:
    """The rendered pages, renewed by the clock."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._site = service.render()
        self._due, self._published = 0.0, 0

    def site(self) -> Site:
        """The pages as they were rendered last."""
        return self._site

    def renew(self) -> None:
        """Render again if it is time or something was published; keep the static copies in step."""
        published = self._service.published_at()
        if time.monotonic() >= self._due or published != self._published:
            self._site = self._service.render()
            write_site(self._site, self._service.home.public / "pages")
            self._due, self._published = time.monotonic() + PAGES_SECONDS, published


async def run_service(
    service: Service,
    *,
    host: str,
    port: int,
    stop: asyncio.Event,
    ready: Callable[[str, int], None],
    log: Log,
) -> None:
    """Serve until `stop`; `ready` is told the address once requests are answered.

    Raises `Unavailable` if the address cannot be used.
    """
    worker, pages = Worker(), _Pages(service)
    app = _make_app(service, pages, worker)
    files = StaticFiles(service.home.repository, REPOSITORY_PREFIX)
    admission = Admission(FRONT_ADMISSION, time.monotonic, random)

    async def handle(request: Request) -> Response:
        if request.path.startswith(REPOSITORY_PREFIX):
            return files.answer(request)
        response = await call_asgi(app, request)
        if request.peer.certificate_der is not None and response.status < 400:
            admission.promote(request.peer.connection_id)
        return response

    _warn(service, log)
    server: Server = await serve(
        handle,
        host=host,
        port=port,
        tls=service.tls,
        limits=FRONT_LIMITS,
        admission=admission,
        on_event=log,
    )
    clockwork = asyncio.create_task(_keep_time(service, pages, worker, log))
    try:
        ready(server.host, server.port)
        await stop.wait()
    finally:
        clockwork.cancel()
        await asyncio.gather(clockwork, return_exceptions=True)
        await server.close()
        worker.close()


def _warn(service: Service, log: Log) -> None:
    """Say in good time what takes the offline drawer to renew."""
    for product in (service.product, *service.others):
        if (mud := service.mud(product)) is not None and mud.fault:
            log("mud-out-of-step", f"{mud.fault}: an unsigned one is served in its place")
    chain = read_bounded(service.home.online / "service.pem", max_bytes=PEM_BYTES)
    state = service.repository.state()
    ends = {
        "the service's certificate": load_certificates(chain)[0].not_valid_after_utc,
        "the repository's root": state.root.expires,
        "the repository's targets": state.targets.expires,
    }
    for what, end in ends.items():
        if end - service.clock() < timedelta(days=WARN_DAYS):
            log("expires-soon", f"{what} expires on {end:%Y-%m-%d}: run limpet vendor renew")


def _make_app(service: Service, pages: _Pages, worker: Worker) -> Starlette:
    settings = service.home.settings
    return make_app(
        authority=service.authority,
        enrollment=Enrollment(
            authority=service.authority,
            database=service.database,
            models=settings.models,
            lifetime=timedelta(seconds=settings.certificate_lifetime_seconds),
        ),
        intake=Intake(database=service.database, models=settings.models),
        limiter=RateLimiter(REPORTS),
        site=pages.site,
        worker=worker,
        clock=service.clock,
    )


async def _keep_time(service: Service, pages: _Pages, worker: Worker, log: Log) -> None:
    """Work, then wait; a failure is logged once until it changes, and never ends the clock."""
    said = ""
    while True:
        begun = time.monotonic()
        for job in (service.work, pages.renew):
            try:
                await worker.run(job)
            except Exception as error:
                what = str(error) if isinstance(error, LimpetError) else repr(error)
                if what != said:
                    said = what
                    log("work-failed", what)
        # The votes of a fleet of 100,000 take seconds to weigh: not each second, then.
        spent = time.monotonic() - begun
        await asyncio.sleep(min(max(TICK_SECONDS, REST * spent), MAX_REST_SECONDS))
