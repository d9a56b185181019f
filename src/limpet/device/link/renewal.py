"""When an operational certificate is renewed, on a device whose clock may be wrong.

Owns the rule for every role that has one (IEEE 802.1AR's LDevID). The wall clock counts
only while it lies within the certificate; a certificate that was just issued in answer to
this device is counted from its arrival, by the steady clock. docs/adr/0063 says why.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

__all__ = ["LONGEST_SLEEP_SECONDS", "decide_pause", "wait_for_renewal"]

RENEW_SHARE = 2 / 3
JITTER_SHARE = 1 / 10
"""Renewals lie within a twentieth of the life on either side."""

LONGEST_SLEEP_SECONDS = 3600.0
"""Look at the wall clock at least so often: it may be set, and a device may sleep."""

BACKDATE = timedelta(hours=1)
"""How far before its issue a certificate begins (`limpet.crypto.certificates`)."""


def decide_pause(
    not_before: datetime, not_after: datetime, *, wall: datetime, fresh: bool, draw: float
) -> float:
    """Seconds until the certificate is to be renewed; 0 for now. `draw` in [0, 1).

    1. Fresh from the vendor: two thirds of what it is good for, from now. If the wall clock lies
    outside of it, the clock is wrong, and it was issued just now. 2. A stored one, wall clock
    within it: two thirds of its life. 3. A stored one, wall clock outside: clock or certificate
    is wrong, and only a fresh one can tell.
    """
    share = RENEW_SHARE + (draw - 0.5) * JITTER_SHARE
    within = not_before <= wall <= not_after
    if fresh:  # 1.
        begun = wall if within else min(not_before + BACKDATE, not_after)
        return (not_after - begun).total_seconds() * share
    if within:  # 2.
        due = not_before + (not_after - not_before) * share
        return max((due - wall).total_seconds(), 0.0)
    return 0.0  # 3.


async def wait_for_renewal(
    not_before: datetime,
    not_after: datetime,
    *,
    fresh: bool,
    clock: Callable[[], datetime],
    draw: float,
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Return when the certificate is to be renewed. `clock` gives the wall clock in UTC."""
    pause = decide_pause(not_before, not_after, wall=clock(), fresh=fresh, draw=draw)
    while pause > 0:
        step = min(pause, LONGEST_SLEEP_SECONDS)
        await sleep(step)
        pause -= step
        wall = clock()
        if not_before <= wall <= not_after:
            known = decide_pause(not_before, not_after, wall=wall, fresh=False, draw=draw)
            pause = min(pause, known)
