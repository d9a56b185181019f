"""What a product is given when it starts: its clock, its directory, its log.

Owns the frozen `Device` that the SDK hands to a product's start function, and
the clock behind it. Never a global: a test hands in other ones.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from limpet.device.app._dialer import Dialer
from limpet.device.app._guard import Guard, SafeWrite
from limpet.device.app._history import SEGMENT_BYTES, SEGMENTS, History
from limpet.device.app._notices import Level, Notices
from limpet.device.app._outbound import Outbound
from limpet.device.app._state import Migration, State
from limpet.storage import make_directory

if TYPE_CHECKING:  # an app without a way out has no use for TLS (see `_outbound`)
    from limpet.https.client import HttpsClient

__all__ = ["BULK", "Clock", "Device", "Log", "SystemClock"]

BULK = "bulk"
"""Below the app's directory. The supervisor, which copies that before a trial, leaves it out."""

M = TypeVar("M")
R = TypeVar("R")

Log = Callable[[str, str, str], None]
"""`log(event, detail, level)`: a stable kebab-case word, a text without secrets, and `info`,
`warning` or `error`."""


class Clock(Protocol):
    """Where a product takes its time from."""

    def monotonic(self) -> float:
        """Seconds that never go back; their zero has no meaning."""

    def now(self) -> datetime:
        """The time of day in UTC; on a device without a clock it may be years off."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds since some start."""
        return time.monotonic()

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The world of one running product. All files that it makes lie below `data`."""

    clock: Clock
    data: Path
    log: Log
    guard: Guard
    notices: Notices
    outbound: Outbound = field(default_factory=lambda: Outbound(Dialer((), resolve={})))

    def state(
        self,
        kind: type[M],
        name: str,
        *,
        default: M,
        schema: int = 1,
        migrations: Mapping[int, Migration] | None = None,
        back: Mapping[int, Migration] | None = None,
    ) -> State[M]:
        """The durable state `name`, loaded. See `State` for damage and for migrations."""
        state = State(
            self.data,
            name,
            kind,
            default=default,
            schema=schema,
            migrations=migrations,
            back=back,
            warn=lambda what: self.log("state-not-written-back", what, "warning"),
        )
        if state.damage:
            self.log("state-damaged", f"{name}: {state.damage}", "error")
        return state

    def history(
        self,
        kind: type[R],
        name: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        segments: int = SEGMENTS,
    ) -> History[R]:
        """The bounded history `name` of records of `kind`."""
        return History(self.data, name, kind, segment_bytes=segment_bytes, segments=segments)

    def bulk(self) -> Path:
        """The directory for what is too much to be copied before each update: recordings, caches.

        It is the same before, in and after the trial of a new firmware: a fall-back brings nothing
        in it back, so what one version writes there another must bear. Raises `Unavailable`.
        """
        return make_directory(self.data / BULK)

    def notify(self, key: str, text: str, *, level: Level = "info") -> None:
        """Tell the owner `text`, one line without secrets; durable on return.

        While a notice with the same `key` (kebab-case) is not acknowledged, the same text is
        only counted and another text takes its place. `level` is `info`, `warning` or `error`.
        """
        self.notices.raise_notice(key, text, level)

    def https(
        self, interface: str, *, host: str | None = None, roots_pem: bytes | None = None
    ) -> "HttpsClient":
        """A client for the outbound `interface` that product.toml gives to the app.

        TLS 1.3; the peer proves its name against `roots_pem`, by default the vendor's root.
        Connects when it is first used, after the start. Raises `Misuse` if not declared.
        """
        return self.outbound.client(interface, host=host, roots_pem=roots_pem)

    def when_this_process_dies(self, write: SafeWrite) -> None:
        """Have `write` done even if this process is killed without warning (see `SafeWrite`)."""
        self.guard.arm(write)
