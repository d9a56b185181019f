"""What the updater's engine gets from outside, as one value.

Owns the type and nothing else: the process fills it with sockets and clocks, a
test with a hostile repository and a clock of its own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from limpet.device.link import messages as m
from limpet.device.updater.reports import Delivery
from limpet.device.updater.source import Source
from limpet.device.updater.telling import Log

__all__ = ["Surroundings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything outside: clocks, chance, the network, the other roles."""

    source: Source
    delivery: Callable[[], Delivery | None]  # None: no certificate yet
    supervisor: Callable[[m.Request], Awaitable[m.Reply]]
    health: Callable[[], Awaitable[m.Reply]]
    log: Log  # from any thread
    wall: Callable[[], datetime]  # UTC, may be wrong
    monotonic: Callable[[], float]  # seconds
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]  # uniform in [0, 1)
    pause: Callable[[float], None]  # blocks a worker; raises `Unavailable` when the process ends
