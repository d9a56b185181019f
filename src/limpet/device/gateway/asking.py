"""What every operation of the API needs: the checked request, and a role to ask.

Owns how a role's reply becomes the wanted type, or a refusal for the dispatcher.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from limpet.device.gateway.routes import Match
from limpet.device.link import messages as m
from limpet.device.link.permits import Role
from limpet.errors import Unavailable
from limpet.https.admission import source_of
from limpet.https.message import Request, Response

__all__ = ["Asked", "Call", "Handler", "Refusal", "ask_role", "done_by", "source_address"]

R = TypeVar("R")
Call = Callable[..., Awaitable[m.Reply]]
"""`Bus.call`."""


class Refusal(Exception):
    """A role refused; carries its reply to the dispatcher."""

    def __init__(self, refused: m.Refused) -> None:
        super().__init__(refused.reason)
        self.refused = refused


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request that passed every check: `body` has the route's type."""

    request: Request
    match: Match
    body: Any
    principal: m.Principal | None
    token: str


Handler = Callable[[Asked], Awaitable[Response]]


async def ask_role(call: Call, role: Role, request: m.Request, wanted: type[R], **more: Any) -> R:
    """The reply, if it is a `wanted`. Raises `Refusal`, or `Unavailable` for any other."""
    reply = await call(role, request, **more)
    if isinstance(reply, m.Refused):
        raise Refusal(reply)
    if not isinstance(reply, wanted):
        raise Unavailable(f"{role.value} answered {type(reply).__name__}")
    return reply


async def done_by(call: Call, role: Role, request: m.Request, **more: Any) -> Response:
    """204 once `role` has done it."""
    await ask_role(call, role, request, m.Done, **more)
    return Response(204)


def source_address(asked: Asked) -> str:
    """The client as the throttle counts it."""
    return source_of(asked.request.peer.address)
