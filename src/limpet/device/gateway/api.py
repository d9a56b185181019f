"""The dispatcher: every check that stands before an operation, in one order.

Owns that order: meant for us? a route? claimed? who? allowed? readable? Only
then does an operation run. A path that is not in the table does not exist.
"""

from typing import Any

import msgspec

from limpet.crypto.names import own_name
from limpet.device.gateway.answers import refusal, secured
from limpet.device.gateway.asking import Asked, Refusal
from limpet.device.gateway.home import HomeOperations
from limpet.device.gateway.operations import Operations
from limpet.device.gateway.origin import verify_origin
from limpet.device.gateway.routes import Match, match_route, methods_of
from limpet.device.link import messages as m
from limpet.errors import Rejected
from limpet.https.message import Request, Response, problem

__all__ = ["Api"]

MAX_TOKEN = 256


class Api:
    """The handler of the gateway's server."""

    def __init__(self, operations: Operations, home: HomeOperations) -> None:
        self._operations, self._home = operations, home
        self._table = {**operations.table(), **home.table()}
        self._own = own_name(operations.facts.identity.serial)

    async def handle(self, request: Request) -> Response:
        """Answer one request; `Unavailable` is left to the server (503)."""
        try:
            response = await self._handle(request)
        except Refusal as error:
            response = refusal(error.refused)
        except Rejected as error:
            response = refusal(m.Refused(reason=error.reason, message=error.message))
        return secured(response, host=request.headers["host"], own=self._own)

    async def _handle(self, request: Request) -> Response:
        """Numbered as they run:

        1. Host and Origin. 2. Route: before the claim nothing but the public three, and no word
        about what else there is. 3. Token. 4. The route's access. 5. Body. 6. Operation.
        """
        # 1.
        verify_origin(
            host=request.headers["host"],
            origin=request.headers.get("origin"),
            site=None if _is_visit(request) else request.headers.get("sec-fetch-site"),
            names=self._home.names(),
        )
        # 2.
        match = match_route(request.method, request.path)
        if (match is None or not match.route.before_claim) and not (
            await self._operations.is_claimed()
        ):
            return problem(403, "unclaimed", "claim this device first (POST /v1/claim)")
        if match is None:
            return _no_route(request.path)
        # 3.
        principal, token = None, ""
        if match.route.access > m.Access.PUBLIC:
            token = _bearer(request.headers.get("authorization", ""))
            principal = await self._operations.authenticate(token)
            self._operations.promote(request.peer.connection_id)
            # 4.
            if principal.access < match.route.access:
                needed = match.route.access.name.lower()
                return problem(403, "access-too-low", f"needs the access {needed}")
        # 5.
        body = _body(request, match)
        if isinstance(body, Response):
            return body
        # 6.
        asked = Asked(request=request, match=match, body=body, principal=principal, token=token)
        return await self._table[match.route.operation](asked)


def _is_visit(request: Request) -> bool:
    """Whether somebody follows a link to the page: it may stand on any site, and does nothing."""
    headers = request.headers
    document = headers.get("sec-fetch-dest") == "document"
    return request.path == "/" and document and headers.get("sec-fetch-mode") == "navigate"


def _no_route(path: str) -> Response:
    methods = methods_of(path)
    if not methods:
        return problem(404, "not-found", "there is no such path")
    return problem(405, "method", "not with this method", headers={"allow": ", ".join(methods)})


def _bearer(header: str) -> str:
    """RFC 6750, 2.1."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise Refusal(m.Refused(reason="bad-token", message="log in first (POST /v1/login)"))
    return token


def _body(request: Request, match: Match) -> Any:
    """The body as the route's type; a `Response` says why not."""
    wanted = match.route.reads
    if wanted is None:
        # An empty object does no harm, and some clients cannot send nothing.
        if request.body.strip() not in (b"", b"{}"):
            return problem(400, "malformed", "this request has no body")
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or "content-encoding" in request.headers:
        return problem(415, "media-type", "send application/json")
    try:
        return msgspec.json.decode(request.body, type=wanted)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return problem(400, "malformed", f"the body cannot be read: {error}")
