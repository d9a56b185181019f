"""`limpet vendor serve`: the listening server, and the clock's work each second.

Owns the process's life: check everything, listen, say so, serve until told to
stop, end cleanly. A failure of the clock's work is logged and tried again; it
never ends the service.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
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
from limpet.vendor.pages import (
    Contact,
    Dossier,
    Page,
    Site,
    find_page,
    load_contact,
    load_dossier,
    render_papers,
    render_site,
    write_site,
)
from limpet.vendor.repository import Repository
from limpet.vendor.rollout import Rollout, tick
from limpet.vendor.store import Database

from .app import make_app
from .asgi import call_asgi
from .static import StaticFiles
from .upkeep import Upkeep
from .work import Worker

__all__ = ["Service", "run_service"]

PEM_BYTES = 64 << 10
TICK_SECONDS = 1.0
REST = 9.0  # times the work: the clock takes a tenth of the worker at most
MAX_REST_SECONDS = 15.0  # but a halt and a page come as soon as that, however large the fleet
WARN_DAYS = 60
PAGES_SECONDS = 60.0  # how old a rendered page may be
PAPERS_AFTER_SECONDS = 5.0  # from the start: making one takes seconds, and others want to start too
REPOSITORY_PREFIX = "/repository/"
TIMESTAMP = "metadata/timestamp.json"
RECORDS: Mapping[str, str] = {
    "/watch/": "watch",
    "/advisories/": "advisories",
    "/.well-known/csaf/": "csaf",
}
"""Files for programs, beside the pages: URL path, and directory below `public`."""

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

    def dossiers(self) -> tuple[Dossier, ...]:
        """What the pages say, model by model, from what lies there now."""
        return tuple(
            load_dossier(self.home.of(model), clock=self.clock)
            for model in self.home.settings.models
        )

    def contact(self, product: Product) -> Contact:
        """The `security.txt` of the first model's design, which is the host's."""
        host = self.home.settings.hostnames[0]
        return load_contact(product, self.home.public, host=host, now=self.clock())

    def render(self, *, papers: bool = False) -> Site:
        """The public pages as they are now, or the papers beside them."""
        dossiers = self.dossiers()
        contact = self.contact(dossiers[0].product)
        make = render_papers if papers else render_site
        return make(dossiers, now=self.clock(), contact=contact.text, signed=contact.signed)

    def published_at(self) -> int:
        """When something was last published in the repository: the time of its newest file, ns."""
        try:
            return (self.home.repository / TIMESTAMP).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

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
    """The rendered pages, renewed by the clock, and the papers, renewed beside it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._site = service.render()
        self._papers: Site = {}
        self._due, self._published = 0.0, 0

    def find(self, path: str) -> Page | None:
        """The page at `path` as it was rendered last."""
        return find_page(self._site, path) or find_page(self._papers, path)

    def renew(self) -> None:
        """Render again if it is time or something was published; keep the static copies in step."""
        published = self._service.published_at()
        if time.monotonic() >= self._due or published != self._published:
            self._site = self._service.render()
            write_site(self._site, self._service.home.public / "pages")
            self._due, self._published = time.monotonic() + PAGES_SECONDS, published

    def renew_papers(self) -> None:
        """Make the papers again where what they say has changed: seconds of work."""
        self._papers = self._service.render(papers=True)
        write_site(self._papers, self._service.home.public / "pages")


class _Files:
    """What is served as it lies there: the repository, and records beside the pages."""

    def __init__(self, home: Home) -> None:
        self._repository = StaticFiles(home.repository, REPOSITORY_PREFIX)
        self._records = [StaticFiles(home.public / name, path) for path, name in RECORDS.items()]

    def answer(self, request: Request) -> Response | None:
        """The file; None where it is not the repository's and may be a page."""
        if request.path.startswith(REPOSITORY_PREFIX):
            return self._repository.answer(request)
        for one in self._records:
            if request.path.startswith(one.prefix) and (found := one.answer(request)).status < 400:
                return found
        return None


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
    worker, printer, pages = Worker(), Worker(), _Pages(service)
    app = _make_app(service, pages, worker)
    files = _Files(service.home)
    admission = Admission(FRONT_ADMISSION, time.monotonic, random)

    async def handle(request: Request) -> Response:
        if (found := files.answer(request)) is not None:
            return found
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
    clockwork = asyncio.gather(
        _keep_time(service, pages, worker, log), _keep_papers(pages, printer, log)
    )
    try:
        ready(server.host, server.port)
        await stop.wait()
    finally:
        clockwork.cancel()
        await asyncio.gather(clockwork, return_exceptions=True)
        await server.close()
        worker.close()
        printer.close()


def _warn(service: Service, log: Log) -> None:
    """Say in good time what takes the offline drawer to renew."""
    _warn_of_pages(service, log)
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


def _warn_of_pages(service: Service, log: Log) -> None:
    """Say what of the public pages is out of step, or will be."""
    for dossier in service.dossiers():
        if dossier.mud is not None and dossier.mud.fault:
            log("mud-out-of-step", f"{dossier.mud.fault}: an unsigned one is served in its place")
        for fault in dossier.faults:
            log("not-shown", fault)
    contact = service.contact(service.product)
    if contact.fault:
        log("contact-out-of-step", contact.fault)
    if (left := contact.days_left(service.clock())) < WARN_DAYS:
        advice = "review security_contact in the design file"
        log("expires-soon", f"security.txt expires in {left} days: {advice}")


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
        page=pages.find,
        worker=worker,
        clock=service.clock,
    )


async def _keep_time(service: Service, pages: _Pages, worker: Worker, log: Log) -> None:
    """Work, then wait; a failure is logged once until it changes, and never ends the clock."""
    said = ""
    upkeep = Upkeep(
        home=service.home,
        database=service.database,
        clock=service.clock,
        monotonic=time.monotonic,
    )
    while True:
        begun = time.monotonic()
        for job in (service.work, pages.renew, upkeep.step):
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


async def _keep_papers(pages: _Pages, printer: Worker, log: Log) -> None:
    """Make the papers beside everything else; a failure is logged, and tried again later."""
    wait = PAPERS_AFTER_SECONDS
    while True:
        await asyncio.sleep(wait)
        wait = PAGES_SECONDS
        try:
            await printer.run(pages.renew_papers)
        except Exception as error:
            log("work-failed", str(error) if isinstance(error, LimpetError) else repr(error))
