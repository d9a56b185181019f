"""A role and its supervisor: alive, stop, ready, log, violation."""

from typing import Annotated, Literal

from msgspec import Meta

from limpet.device.link.messages.terms import Name, Text
from limpet.wire.codec import Message

__all__ = [
    "MAX_REST_SECONDS",
    "Confinement",
    "LogEvent",
    "Ping",
    "Ready",
    "Rest",
    "Stop",
    "Violation",
]


MAX_REST_SECONDS = 86_400.0
"""Longest that a role rests before it looks around again."""


class Ping(Message, frozen=True, kw_only=True, tag=True):
    """Supervisor: are you alive? Answered by `Done`."""


class Stop(Message, frozen=True, kw_only=True, tag=True):
    """Supervisor: finish what is under way and exit. Answered by `Done`."""


class Confinement(Message, frozen=True, kw_only=True, tag=True):
    """One mechanism that a role gave itself up to, or could not."""

    mechanism: Name
    in_force: bool
    detail: Text = ""


class Ready(Message, frozen=True, kw_only=True, tag=True):
    """Role: loaded, confined, serving."""

    confinement: tuple[Confinement, ...]


class Rest(Message, frozen=True, kw_only=True, tag=True):
    """Role: nothing is under way here. After `Done` I exit; start me again when a peer asks, or
    when so many seconds are over."""

    wake_seconds: Annotated[float, Meta(ge=1, le=MAX_REST_SECONDS)]


class Violation(Message, frozen=True, kw_only=True, tag=True):
    """Role: `caller` sent me `request`, which the table does not permit. It is ended."""

    caller: Name
    request: Name


class LogEvent(Message, frozen=True, kw_only=True, tag=True):
    """Role: an entry for the device's log; carries no secret."""

    event: Name  # kebab-case, stable
    detail: Text = ""
    level: Literal["info", "warning", "error"] = "info"
