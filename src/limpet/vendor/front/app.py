"""The routes that answer with more than a file: enrollment, reports, pages.

Owns HTTP: methods, status codes, sizes and media types. Decides nothing about a
device; every answer that is an error is a problem document (RFC 9457).
"""

import ssl
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.https.message import problem
from limpet.vendor.enrollment import (
    MEDIA_TYPE,
    Authority,
    DeviceIdentity,
    Enrollment,
    IdentityKind,
    decode_request,
    encode_certificates,
)
from limpet.vendor.fleet import Intake, RateLimiter
from limpet.vendor.pages import Page

from .work import Worker

__all__ = ["STATUS", "Clients", "make_app"]

STATUS: Mapping[str, int] = {
    "unauthenticated": 401,
    "unknown-certificate": 401,
    "not-permanent": 403,
    "not-operational": 403,
    "blocked": 403,
    "wrong-device": 403,
    "wrong-model": 403,
    "reused-key": 403,
    "too-large": 413,
    "wrong-type": 415,
    "too-many": 429,
}
"""HTTP status of a refusal; 400 for what is not listed."""

RETRY_SECONDS = 3600  # after too many certificates
EST = "/.well-known/est"
PKCS10 = "application/pkcs10"
JSON = "application/json"
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "max-age=300",
    "strict-transport-security": "max-age=31536000",
}


def make_app(
    *,
    authority: Authority,
    enrollment: Enrollment,
    intake: Intake,
    limiter: RateLimiter,
    page: Callable[[str], Page | None],
    worker: Worker,
    clock: Callable[[], datetime],
) -> Starlette:
    """The ASGI application; `page` finds a current page by its path, `worker` runs what blocks."""
    clients = Clients(authority, enrollment, worker, clock)
    est = _Est(clients, authority, enrollment, worker, clock)
    reports = _Reports(clients, intake, limiter, worker, clock)

    async def show(request: Request) -> Response:
        found = page(request.scope["path"])
        if found is None:
            raise HTTPException(404)
        return Response(found.body, media_type=found.media_type, headers=PAGE_HEADERS)

    routes = [
        Route(f"{EST}/cacerts", est.cacerts, methods=["GET"]),
        Route(f"{EST}/simpleenroll", est.enroll, methods=["POST"]),
        Route(f"{EST}/simplereenroll", est.reenroll, methods=["POST"]),
        Route("/api/v1/reports", reports.post, methods=["POST"]),
        Route("/{path:path}", show, methods=["GET"]),
    ]
    handlers = {LimpetError: _refuse, HTTPException: _http_error}
    return Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]


class Clients:
    """Which device a request is from."""

    def __init__(
        self,
        authority: Authority,
        enrollment: Enrollment,
        worker: Worker,
        clock: Callable[[], datetime],
    ) -> None:
        self._authority, self._enrollment = authority, enrollment
        self._worker, self._clock = worker, clock

    async def identify(self, request: Request) -> DeviceIdentity:
        """The device behind the connection, from TLS, and the record where that is not enough.

        Raises `Rejected("unauthenticated" | "unknown-certificate")`.
        """
        tls = request.scope.get("extensions", {}).get("tls", {})
        chain = tls.get("client_cert_chain", [])
        if not chain:
            raise Rejected("unauthenticated", "show the device's certificate in the TLS handshake")
        found = self._authority.identify(ssl.PEM_cert_to_DER_cert(chain[0]), now=self._clock())
        if isinstance(found, DeviceIdentity):
            return found
        return await self._worker.run(lambda: self._enrollment.verify_recorded(found))


class _Est:
    """RFC 7030, 4.1 and 4.2."""

    def __init__(
        self,
        clients: Clients,
        authority: Authority,
        enrollment: Enrollment,
        worker: Worker,
        clock: Callable[[], datetime],
    ) -> None:
        self._clients, self._authority, self._enrollment = clients, authority, enrollment
        self._worker, self._clock = worker, clock

    async def cacerts(self, request: Request) -> Response:
        """Anybody may ask; a device does not trust the answer, its roots are in the firmware."""
        return _certificates(self._authority.certificates())

    async def enroll(self, request: Request) -> Response:
        """First enrollment: with the identity from the factory."""
        client = await self._clients.identify(request)
        if client.kind is not IdentityKind.PERMANENT:
            raise Rejected("not-permanent", "enroll with the permanent certificate (IDevID)")
        return await self._issue(request, client)

    async def reenroll(self, request: Request) -> Response:
        """Renewal: with the current operational certificate, or with the permanent one."""
        client = await self._clients.identify(request)
        return await self._issue(request, client)

    async def _issue(self, request: Request, client: DeviceIdentity) -> Response:
        _verify_type(request, PKCS10)
        body = await request.body()

        def issue() -> bytes:
            return self._enrollment.enroll(client, decode_request(body), now=self._clock())

        return _certificates(await self._worker.run(issue))


class _Reports:
    """`POST /api/v1/reports`."""

    def __init__(
        self,
        clients: Clients,
        intake: Intake,
        limiter: RateLimiter,
        worker: Worker,
        clock: Callable[[], datetime],
    ) -> None:
        self._clients, self._intake, self._limiter = clients, intake, limiter
        self._worker, self._clock = worker, clock

    async def post(self, request: Request) -> Response:
        """Take one report: 204, also for one that came before."""
        client = await self._clients.identify(request)
        _verify_type(request, JSON)
        wait = self._limiter.take(client.serial, now=time.monotonic())
        if wait > 0:
            return _problem(429, "too-many", "reports come too fast", retry=int(wait) + 1)
        body = await request.body()
        await self._worker.run(lambda: self._intake.take(client, body, now=self._clock()))
        return Response(status_code=204)


def _certificates(pem: bytes) -> Response:
    # RFC 8951, 3.1: the transfer encoding is always base64; older clients want to read so.
    headers = {"content-transfer-encoding": "base64", "cache-control": "no-store"}
    return Response(encode_certificates(pem), media_type=MEDIA_TYPE, headers=headers)


def _verify_type(request: Request, wanted: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise Rejected("wrong-type", f"the content type must be {wanted}")


async def _refuse(request: Request, error: LimpetError) -> Response:
    if isinstance(error, Rejected):
        status = STATUS.get(error.reason, 400)
        retry = RETRY_SECONDS if status == 429 else None
        return _problem(status, error.reason, error.message, retry=retry)
    if isinstance(error, Unavailable):
        return _problem(503, "unavailable", "try again later", retry=5)
    raise error


async def _http_error(request: Request, error: HTTPException) -> Response:
    reasons = {404: "not-found", 405: "method-not-allowed"}
    answer = _problem(error.status_code, reasons.get(error.status_code, "refused"), "")
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


def _problem(status: int, reason: str, detail: str, *, retry: int | None = None) -> Response:
    document = problem(status, reason, detail)
    headers = dict(document.headers)
    if retry is not None:
        headers["retry-after"] = str(retry)
    assert isinstance(document.body, bytes)  # noqa: S101 - problem() makes no other
    return Response(document.body, status_code=status, headers=headers)
