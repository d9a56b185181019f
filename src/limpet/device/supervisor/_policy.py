"""What the supervisor decides, apart from doing it: order, backoff, giving up.

Pure: no clock, no process.
"""

from dataclasses import dataclass, replace

from limpet.device.link.permits import Role
from limpet.device.link.role import CANNOT_RUN

__all__ = ["FACTORY_ORDER", "ORDER", "Restarts", "decide_restart"]

ORDER = (Role.KEEPER, Role.ACCOUNTS, Role.APP, Role.UPDATER, Role.GATEWAY)
"""Who starts when: nobody before those that it asks; the network opens last."""

FACTORY_ORDER = (Role.KEEPER, Role.ACCOUNTS)
"""All that a device needs to get its identity and its claim code."""

FIRST_DELAY, LONGEST_DELAY = 0.25, 30.0  # seconds
STEADY_SECONDS = 60.0  # a role that lived this long starts afresh
GIVE_UP_AFTER = 8  # quick deaths in a row; then boot decides


@dataclass(frozen=True, slots=True)
class Restarts:
    """What is remembered of one role's deaths."""

    quick: int = 0  # deaths in a row before STEADY_SECONDS
    total: int = 0


def decide_restart(
    restarts: Restarts, *, lived: float, status: int = 1
) -> tuple[Restarts, float | None]:
    """After a death with exit `status`: what to remember, and the delay before the next start.

    None: do not start it alone any more, the whole slot is unwell.
    """
    quick = 1 if lived >= STEADY_SECONDS else restarts.quick + 1
    after = replace(restarts, quick=quick, total=restarts.total + 1)
    if quick > GIVE_UP_AFTER or status == CANNOT_RUN:
        return after, None
    return after, float(min(FIRST_DELAY * 2 ** (quick - 1), LONGEST_DELAY))
