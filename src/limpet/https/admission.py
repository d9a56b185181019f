"""Who may open a connection while strangers flood: decided before TLS costs anything.

Owns three lanes and their bounds:

1. *strangers*: connections that have not shown a valid credential yet. Random
   early drop as OpenSSH's MaxStartups start:rate:full (sshd_config(5)), and at
   most so many per source (PerSourceMaxStartups), a source being an IPv4
   address or an IPv6 /64.
2. *known*: as lane 1, but from a source that lately had a valid session, once
   the strangers' lane refuses it. Its slots are reserved: strangers can't fill
   them. At the bound of its own source, the oldest of that source's connections
   makes room, so that an attacker at the owner's address cannot lock it out by
   holding connections.
3. *authenticated*: promoted at the first request with a valid credential.

While a known source has a connection open, or had one lately, everybody else's work is
*paced*: each handshake and each request without a credential waits for its turn, so that
no number of strangers can take the event loop from those who are known. Known sources have
turns of their own until they authenticate; an authenticated connection never waits.

Order of eviction: a new authenticated connection beyond the bound evicts the
authenticated one that was silent longest; a known source evicts its own oldest
unauthenticated one; a stranger evicts nobody, ever.

`decide_connection` is pure. `Admission` keeps the books; it has no socket.
"""

import asyncio
import enum
import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from limpet.https.pace import Pace, Turns

__all__ = [
    "DEVICE",
    "FRONT",
    "Admission",
    "AdmissionLimits",
    "Admit",
    "Drop",
    "Lane",
    "Lanes",
    "Reason",
    "decide_connection",
    "source_of",
]


_SHORT_SECONDS = 0.001  # a wait that is not worth one


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionLimits:
    """Bounds of the lanes, in connections; times in seconds."""

    # sshd_config(5): MaxStartups start:rate:full, PerSourceMaxStartups, LoginGraceTime.
    start: int  # strangers at which random early drop begins
    rate: int  # percent dropped there, rising linearly to 100 …
    full: int  # … at so many strangers
    per_source: int  # unauthenticated connections of one source, per lane
    known: int  # reserved for known sources
    authenticated: int
    grace_seconds: float  # to authenticate; infinite: need never
    known_seconds: float = 7 * 86400.0  # a source stays known after its last valid credential
    known_sources: int = 64  # remembered at most; the one not seen longest is forgotten
    pace: Pace | None = None  # of handshakes and requests without a credential; None: as they come
    guest_seconds: float = 60.0  # who is known and left is awaited for so long


DEVICE = AdmissionLimits(
    start=8,
    rate=30,
    full=32,
    per_source=4,
    known=8,
    authenticated=32,
    grace_seconds=30.0,
    pace=Pace(per_second=50.0, burst=16),
)
"""A device: OpenSSH's shape (10:30:100, 120 s) at a size for 44 KB of TLS state a connection.

Four connections a source: a browser opens up to six at once, and the two that are dropped
it tries again when the first are authenticated. Eight known sources and 32 authenticated
connections are a household.

The pace: a handshake or a request takes 0.3 to 1 ms of the event loop here, so strangers
get 5 % of it, and a quarter on a machine five times slower. A browser that comes for the
first time needs 6 connections and 8 requests: they fit the burst.
"""

FRONT = AdmissionLimits(
    start=384,
    rate=30,
    full=512,
    per_source=256,
    known=128,
    authenticated=512,
    grace_seconds=float("inf"),
)
"""A vendor's front: many devices share an address behind a NAT; reading needs no credential."""


class Lane(enum.Enum):
    """Where a connection counts."""

    STRANGER = "stranger"
    KNOWN = "known"
    AUTHENTICATED = "authenticated"


class Reason(enum.Enum):
    """Why a connection was dropped."""

    EARLY = "early-drop"
    FULL = "full"
    SOURCE = "source-limit"


@dataclass(frozen=True, slots=True)
class Admit:
    """Let it in, in `lane`; `replace` says that the oldest of its source and lane goes."""

    lane: Lane
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """Close it at once, without a byte."""

    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """What `decide_connection` looks at: counts per source in the two unauthenticated lanes."""

    limits: AdmissionLimits
    strangers: Mapping[str, int]
    known: Mapping[str, int]
    stranger_total: int
    known_total: int
    known_sources: Mapping[str, float]  # source -> time at which it stops being known
    now: float


def source_of(address: str) -> str:
    """The unit that limits count: an IPv4 address, or the /64 of an IPv6 address (RFC 4291).

    `address` is as the kernel writes it, of a connection.
    """
    if ":" not in address:
        return address  # no parsing: a flood pays less for each connection than the device does
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ipaddress.ip_network((parsed, 64), strict=False))
        return str(parsed.ipv4_mapped)
    return str(parsed)


def decide_connection(lanes: Lanes, source: str, draw: float) -> Admit | Drop:
    """Whether a new connection from `source` may come in; `draw` is uniform in [0, 1).

    First the strangers' lane, then, for a known source only, the reserved one.
    """
    verdict = _decide_stranger(lanes, source, draw)
    if isinstance(verdict, Admit) or lanes.known_sources.get(source, lanes.now) <= lanes.now:
        return verdict
    limits = lanes.limits
    if lanes.known.get(source, 0) >= limits.per_source:
        return Admit(Lane.KNOWN, replace=True)
    if lanes.known_total >= limits.known:
        return Drop(Reason.FULL)
    return Admit(Lane.KNOWN)


def _decide_stranger(lanes: Lanes, source: str, draw: float) -> Admit | Drop:
    limits, total = lanes.limits, lanes.stranger_total
    if lanes.strangers.get(source, 0) >= limits.per_source:
        return Drop(Reason.SOURCE)
    if total >= limits.full:
        return Drop(Reason.FULL)
    if total >= limits.start:
        # The chance rises linearly from rate % at start to 100 % at full, as
        # should_drop_connection() of OpenSSH's sshd does it.
        rise = (100 - limits.rate) * (total - limits.start) / (limits.full - limits.start)
        if draw * 100 < limits.rate + rise:
            return Drop(Reason.EARLY)
    return Admit(Lane.STRANGER)


@dataclass(slots=True)
class _Entry:
    source: str
    lane: Lane
    opened: float
    known: bool  # its source had a valid credential


@dataclass(slots=True)
class Admission:
    """The books of one listening socket. Not thread-safe: one event loop calls it.

    `clock` is monotonic seconds, `draw` uniform in [0, 1). `evict` is set by
    the server: it closes the connection with that id at once.
    """

    limits: AdmissionLimits
    clock: Callable[[], float]
    draw: Callable[[], float]
    evict: Callable[[int], None] = field(default=lambda _: None)
    dropped: Counter[Reason] = field(default_factory=Counter)
    _entries: OrderedDict[int, _Entry] = field(default_factory=OrderedDict)
    _known: OrderedDict[str, float] = field(default_factory=OrderedDict)
    _per_source: Mapping[Lane, Counter[str]] = field(
        default_factory=lambda: {lane: Counter() for lane in Lane}
    )
    _totals: Counter[Lane] = field(default_factory=Counter)
    _guests: int = 0  # open connections of known sources
    _guest_left: float = float("-inf")  # when the last of them was closed
    _turns: Mapping[bool, Turns] | None = field(init=False)  # by whether the source is known
    _last_id: int = 0

    def __post_init__(self) -> None:
        """Known sources and strangers cannot take each other's turns."""
        pace = self.limits.pace
        self._turns = None if pace is None else {True: Turns(pace), False: Turns(pace)}

    def open(self, address: str) -> int | Drop:
        """Ask for a connection from `address`: its new id, or why it must be closed at once."""
        source = source_of(address)
        verdict = decide_connection(self._lanes(), source, self.draw())
        if isinstance(verdict, Drop):
            self.dropped[verdict.reason] += 1
            return verdict
        if verdict.replace:
            self._evict_first(verdict.lane, source)
        self._last_id += 1
        now = self.clock()
        known = self._known.get(source, now) > now
        self._entries[self._last_id] = _Entry(source, verdict.lane, now, known)
        self._count(self._entries[self._last_id], 1)
        return self._last_id

    def promote(self, connection_id: int) -> None:
        """A request with a valid credential came: count it as authenticated, know its source.

        Called for every such request; it also marks the connection as the one heard last.
        """
        entry = self._entries.get(connection_id)
        if entry is None:
            return  # closed meanwhile
        self._know(entry.source)
        self._entries.move_to_end(connection_id)
        if entry.lane is Lane.AUTHENTICATED:
            return
        if self._totals[Lane.AUTHENTICATED] >= self.limits.authenticated:
            self._evict_first(Lane.AUTHENTICATED, None)
        self._count(entry, -1)
        entry.lane, entry.known = Lane.AUTHENTICATED, True
        self._count(entry, 1)

    def close(self, connection_id: int) -> None:
        """The connection is gone; closing twice is harmless."""
        entry = self._entries.pop(connection_id, None)
        if entry is None:
            return
        self._count(entry, -1)
        if entry.known:
            self._guest_left = self.clock()

    def patience(self, connection_id: int) -> float:
        """Seconds that the connection may still live without having authenticated."""
        entry = self._entries.get(connection_id)
        if entry is None:
            return 0.0
        if entry.lane is Lane.AUTHENTICATED:
            return float("inf")
        return max(0.0, entry.opened + self.limits.grace_seconds - self.clock())

    def turn(self, connection_id: int) -> Awaitable[None] | None:
        """Whether this connection's next handshake or request may be worked on.

        None: now. Else what to await until its turn comes.
        """
        entry = self._entries.get(connection_id)
        if entry is None or self._turns is None:
            return None
        if entry.lane is Lane.AUTHENTICATED:
            return None
        now = self.clock()
        if self._guests == 0 and now - self._guest_left > self.limits.guest_seconds:
            return None
        turns = self._turns[entry.known]
        wait = turns.take(now)
        return _until(turns, wait) if wait > _SHORT_SECONDS else None

    def lane(self, connection_id: int) -> Lane | None:
        """The lane of an open connection."""
        entry = self._entries.get(connection_id)
        return entry.lane if entry else None

    def _know(self, source: str) -> None:
        self._known[source] = self.clock() + self.limits.known_seconds
        self._known.move_to_end(source)
        while len(self._known) > self.limits.known_sources:
            self._known.popitem(last=False)

    def _count(self, entry: _Entry, change: int) -> None:
        self._totals[entry.lane] += change
        self._guests += change * entry.known
        sources = self._per_source[entry.lane]
        sources[entry.source] += change
        if not sources[entry.source]:
            del sources[entry.source]

    def _evict_first(self, lane: Lane, source: str | None) -> None:
        for connection_id, entry in self._entries.items():
            if entry.lane is lane and source in (None, entry.source):
                self.close(connection_id)
                self.evict(connection_id)
                return

    def _lanes(self) -> Lanes:
        return Lanes(
            limits=self.limits,
            strangers=self._per_source[Lane.STRANGER],
            known=self._per_source[Lane.KNOWN],
            stranger_total=self._totals[Lane.STRANGER],
            known_total=self._totals[Lane.KNOWN],
            known_sources=self._known,
            now=self.clock(),
        )


async def _until(turns: Turns, wait: float) -> None:
    try:
        await asyncio.sleep(wait)
    except asyncio.CancelledError:
        turns.give_back()  # or closing connections would push everybody's turn away
        raise
