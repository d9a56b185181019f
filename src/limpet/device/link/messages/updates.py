"""The owner's choice about updates and where the updater stands: asked of `updater`."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from limpet.device.link.messages.terms import Name, Text
from limpet.wire.codec import Message

__all__ = [
    "LEAST_BANDWIDTH",
    "AllowRemoteFunctions",
    "CheckNow",
    "Fetching",
    "Held",
    "InstallNow",
    "MakeRoom",
    "PostponeUpdates",
    "ReadUpdateStatus",
    "SetUpdatePolicy",
    "UpdatePolicy",
    "UpdateProxy",
    "UpdateStatus",
    "Window",
]

_END = r"$(?!\n)"  # of a pattern that programs of other languages read: without it, a newline fits
_HOST = r"^([A-Za-z0-9][A-Za-z0-9.-]{0,252}|[0-9A-Fa-f:.]{2,45})"

LEAST_BANDWIDTH = 8 << 10
"""The lowest limit that can be set, bytes a second: 100 MiB still come in four hours."""


class Window(Message, frozen=True, kw_only=True):
    """When updates may be installed, in minutes of the day; end before start spans midnight."""

    days: tuple[Annotated[int, Meta(ge=0, le=6)], ...] = (0, 1, 2, 3, 4, 5, 6)  # Monday is 0
    start_minute: Annotated[int, Meta(ge=0, lt=1440)] = 0
    end_minute: Annotated[int, Meta(ge=0, le=1440)] = 1440
    zone: Name = "UTC"


class UpdateProxy(Message, frozen=True, kw_only=True):
    """An HTTP proxy through which the updater calls. No password: the one that is kept stays, if
    the rest is the same; a status never holds it."""

    host: Annotated[str, Meta(pattern=_HOST + _END)]
    port: Annotated[int, Meta(ge=1, le=65535)]
    user: Annotated[str, Meta(pattern=r"^[^:\x00-\x1f\x7f]{0,128}" + _END)] = (
        ""  # RFC 7617: no colon
    )
    password: Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{0,256}" + _END)] | None = None


class UpdatePolicy(Message, frozen=True, kw_only=True):
    """The owner's choice; automatic by default (draft-moore, 2.4.2)."""

    automatic: bool = True
    ask: bool = False  # consent before each release, as long as the product lets an owner hold
    window: Window = Window()
    interval_seconds: Annotated[int, Meta(ge=1, le=7 * 86400)] | None = None  # None: product's
    metered: bool = False  # the network costs by the byte: images wait for the owner's word
    bandwidth: Annotated[int, Meta(ge=LEAST_BANDWIDTH, le=1 << 30)] | None = None  # bytes a second
    proxy: UpdateProxy | None = None


class ReadUpdateStatus(Message, frozen=True, kw_only=True, tag=True):
    """Answered by `UpdateStatus`."""


class SetUpdatePolicy(Message, frozen=True, kw_only=True, tag=True):
    """Replace the policy; durable before `Done`."""

    policy: UpdatePolicy


class CheckNow(Message, frozen=True, kw_only=True, tag=True):
    """Check without waiting for the interval. `Done` comes when the check is over."""


class InstallNow(Message, frozen=True, kw_only=True, tag=True):
    """The owner's consent: ignore window and automatic=off, once, for the held release.

    Refused while the vendor holds it (`vendor-holds`): that, consent does not overrule."""


class PostponeUpdates(Message, frozen=True, kw_only=True, tag=True):
    """Hold every installation back for so many days from now; 0 ends it. Durable before `Done`."""

    days: Annotated[int, Meta(ge=0, le=365)]


class Held(Message, frozen=True, kw_only=True):
    """Why a release waits: a stable word, a sentence with its figures, since and until when."""

    reason: Name
    text: Text  # "held: outside window until 02:00 (UTC)"
    since: datetime
    until: datetime | None = None  # when this reason ends by itself, if that is known
    consent_ends: bool = False  # the owner's consent installs it all the same


class Fetching(Message, frozen=True, kw_only=True):
    """How far the file is fetched that is on its way: bytes from its beginning, those of before a
    cut included. By a delta, its last part may still come from the whole image."""

    way: Literal["delta", "whole"]
    done: Annotated[int, Meta(ge=0)]
    size: Annotated[int, Meta(ge=0)]


class AllowRemoteFunctions(Message, frozen=True, kw_only=True, tag=True):
    """Whether the product's code may use the Internet: not after the end of a support period
    after which, as its maker declared, it stops. Durable before `Done`."""

    allowed: bool


class MakeRoom(Message, frozen=True, kw_only=True, tag=True):
    """An update lacks room on the disk: `Done` comes when the app is stopped and what is set aside
    for updates is free; with `wanted=False`, when that is set aside again and the app may run."""

    wanted: bool


class UpdateStatus(Message, frozen=True, kw_only=True, tag=True):
    """Where the updater stands; times in UTC."""

    policy: UpdatePolicy
    running: Name
    slot: Literal["a", "b"]
    available: str = ""  # version offered
    state: Literal["idle", "checking", "held", "downloading", "installing", "trial"] = "idle"
    reason: Text = ""  # why a release is held or was refused last
    held: Held | None = None
    fetching: Fetching | None = None  # while it downloads
    postponed_until: datetime | None = None
    hold_until: datetime | None = None  # the end of the owner's holds, once one has begun
    last_check: datetime | None = None
    next_check: datetime | None = None
    support_until: datetime | None = None
    support_over: bool = False
    support_after: Annotated[str, Meta(max_length=64)] = ""  # what follows the end
    support_notice: Text = ""  # what the owner is told of a near or passed end
    support_text: Annotated[str, Meta(max_length=2000)] = ""
