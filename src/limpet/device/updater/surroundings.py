"""What the updater's engine gets from outside, as one value.

Owns the type, and what transfers get of it: the process fills it with sockets and clocks, a
test with a hostile repository and a clock of its own.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from limpet.device.link import messages as m
from limpet.device.updater.reports import Delivery
from limpet.device.updater.source import Source
from limpet.device.updater.telling import Log
from limpet.device.updater.transfer import Line

__all__ = ["Surroundings", "make_line"]


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


def make_line(
    around: Surroundings,
    *,
    limits: Sequence[int | None],
    now: Callable[[], datetime],
    moved: Callable[[str, int, int], None],
) -> Line:
    """What transfers share; of the `limits` of bytes a second the lowest holds."""
    return Line(
        bandwidth=min((one for one in limits if one is not None), default=None),
        monotonic=around.monotonic,
        now=now,
        random=around.random,
        pause=around.pause,
        moved=moved,
        tell=lambda event, detail: around.log(
            event, detail, "warning" if event == "transfer-cut" else "info"
        ),
    )
