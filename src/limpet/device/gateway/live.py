"""Live values: one stream of events per client (WHATWG HTML, 9.2 "Server-sent events").

Owns what is streamed, how often, and how much: the readings that take no arguments and
the state of updates, each when it has changed. However many streams are open, the app
and the updater are asked at most once a tick. A stream ends with its token.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from limpet.device.gateway.bodies import FunctionBody
from limpet.device.link import messages as m
from limpet.errors import Unavailable

__all__ = ["LiveValues", "Sample", "live_readings", "reading_sample", "take_readings"]

TICK_SECONDS = 2.0
HEARTBEAT_SECONDS = 15.0  # a comment, so that a client can tell a quiet stream from a dead one
STREAM_SECONDS = 900.0  # a client that wants more asks again, with a token that is valid then
STREAMS_PER_TOKEN = 2  # one more ends that token's oldest: it may be one whose client is gone
STREAMS = 8  # of all tokens together; one more is refused
READING_BYTES = 16 << 10  # a longer one is named and not sent
RETRY_MILLISECONDS = 3000

_TOO_LARGE = m.Refused(reason="too-large", message="too long for the stream: read it by itself")


@dataclass(frozen=True, slots=True)
class Sample:
    """One event of a tick: who may see it, what it is called, its JSON."""

    access: m.Access
    event: str
    name: str
    json: bytes


Sampler = Callable[[], Awaitable[tuple[Sample, ...]]]


def live_readings(functions: tuple[FunctionBody, ...]) -> tuple[FunctionBody, ...]:
    """The readings that need to be told nothing."""
    return tuple(
        one for one in functions if one.kind == "reading" and not one.arguments.get("properties")
    )


@dataclass(eq=False, slots=True)
class _Stream:
    token_id: str
    ended: bool = False


@dataclass(slots=True)
class LiveValues:
    """The open streams. `sample` asks for all values; `authenticate` who holds a token.

    Not thread-safe: one event loop calls it. `clock` is monotonic seconds.
    """

    sample: Sampler
    authenticate: Callable[[str], Awaitable[m.Reply]]
    clock: Callable[[], float] = time.monotonic
    tick_seconds: float = TICK_SECONDS
    stream_seconds: float = STREAM_SECONDS
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    _open: list[_Stream] = field(default_factory=list)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _latest: tuple[float, tuple[Sample, ...]] = (float("-inf"), ())

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def open(self, principal: m.Principal, token: str) -> AsyncGenerator[bytes, None] | m.Refused:
        """A stream for the bearer of `token`, or why there is none."""
        own = [one for one in self._open if one.token_id == principal.token_id]
        if len(own) >= STREAMS_PER_TOKEN:
            own[0].ended = True
            self._open.remove(own[0])
        elif len(self._open) >= STREAMS:
            return m.Refused(reason="busy", message=f"at most {STREAMS} streams at once")
        return self._parts(principal, token)

    async def _parts(self, principal: m.Principal, token: str) -> AsyncGenerator[bytes, None]:
        if len(self._open) >= STREAMS:
            return
        stream = _Stream(principal.token_id)
        # Registered when the first part is asked for: a generator that never ran has no end.
        self._open.append(stream)
        begun = heard = self.clock()
        sent: dict[tuple[str, str], bytes] = {}
        try:
            yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
            while not stream.ended and self.clock() - begun < self.stream_seconds:
                # Asked anew at every tick, so that a revoked token sees nothing more.
                bearer = await self.authenticate(token)
                if not isinstance(bearer, m.Principal):
                    return
                part = _changed(await self._samples(), bearer.access, sent)
                now = self.clock()
                if not part and now - heard >= self.heartbeat_seconds:
                    part = b": still here\n\n"
                if part and not stream.ended:
                    heard = now
                    yield part
                await asyncio.sleep(self.tick_seconds)
        except Unavailable:
            return  # a role restarts: the client asks again, and is told
        finally:
            if stream in self._open:
                self._open.remove(stream)

    async def _samples(self) -> tuple[Sample, ...]:
        async with self._lock:
            taken, samples = self._latest
            if self.clock() - taken >= self.tick_seconds / 2:
                samples = await self.sample()
                self._latest = (self.clock(), samples)
            return samples


def _changed(
    samples: tuple[Sample, ...], access: m.Access, sent: dict[tuple[str, str], bytes]
) -> bytes:
    """The events of what differs from `sent`, which is brought up to date."""
    parts = []
    for one in samples:
        key = (one.event, one.name)
        if one.access <= access and sent.get(key) != one.json:
            sent[key] = one.json
            parts.append(b"event: " + one.event.encode() + b"\ndata: " + one.json + b"\n\n")
    return b"".join(parts)


def reading_sample(function: FunctionBody, reply: m.Reply) -> Sample:
    """What the app answered to a reading, as one line of JSON whatever the app wrote."""
    value: Mapping[str, object]
    if isinstance(reply, m.Answer) and len(reply.json) > READING_BYTES:
        reply = _TOO_LARGE
    if isinstance(reply, m.Answer):
        value = {"name": function.name, "value": msgspec.json.decode(reply.json)}
    elif isinstance(reply, m.Refused):
        value = {"name": function.name, "reason": reply.reason, "detail": reply.message}
    else:
        raise Unavailable(f"the app answered {type(reply).__name__}")
    access = m.Access[function.access.upper()]
    return Sample(access, "reading", function.name, msgspec.json.encode(value))


async def take_readings(
    functions: tuple[FunctionBody, ...], ask_app: Callable[[m.CallFunction], Awaitable[m.Reply]]
) -> tuple[Sample, ...]:
    """Every live reading, one after the other, each at the access that it declares."""
    samples = []
    for one in live_readings(functions):
        request = m.CallFunction(name=one.name, access=m.Access[one.access.upper()])
        samples.append(reading_sample(one, await ask_app(request)))
    return tuple(samples)
