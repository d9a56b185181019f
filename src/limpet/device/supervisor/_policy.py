"""What the supervisor decides, apart from doing it: order, backoff, giving up.

Pure: no clock, no process.
"""

from dataclasses import dataclass, replace

from limpet.device.link.permits import Role
from limpet.device.link.role import CANNOT_RUN
from limpet.product import Product, User, announces

__all__ = [
    "DISPENSABLE",
    "FACTORY_ORDER",
    "MAY_REST",
    "ORDER",
    "Restarts",
    "calls_out",
    "counts_against",
    "decide_patience",
    "decide_restart",
    "decide_roles",
]

ORDER = (Role.KEEPER, Role.ACCOUNTS, Role.APP, Role.UPDATER, Role.GATEWAY, Role.ANNOUNCER)
"""Who is started when, each without waiting for the one before; the network opens last."""

FACTORY_ORDER = (Role.KEEPER, Role.ACCOUNTS)
"""All that a device needs to get its identity and its claim code."""

MAY_REST = frozenset({Role.KEEPER, Role.ACCOUNTS, Role.UPDATER, Role.ANNOUNCER})
"""Who need not run while nobody asks."""

LEAST_REST_SECONDS = 10.0
"""How long a role runs before it may rest: one that was taken shall not keep us starting it."""

FIRST_DELAY, LONGEST_DELAY = 0.25, 30.0  # seconds
STEADY_SECONDS = 60.0  # a role that lived this long starts afresh
GIVE_UP_AFTER = 8  # quick deaths in a row; then boot decides
APP_PATIENCE = 6.0  # seconds that the network waits for the product's code at a start
DISPENSABLE = frozenset({Role.APP, Role.ANNOUNCER})
"""Roles without which the owner still reaches the device, and an update can come."""

_EXPOSED = (
    *(Role.APP, Role.ANNOUNCER, Role.GATEWAY),
    *(Role.UPDATER, Role.ACCOUNTS, Role.KEEPER),
)
"""Who is taken over most easily comes first."""


@dataclass(frozen=True, slots=True)
class Restarts:
    """What is remembered of one role's deaths."""

    quick: int = 0  # deaths in a row before STEADY_SECONDS
    total: int = 0


def decide_roles(product: Product | None) -> tuple[Role, ...]:
    """Who is started for `product`: the announcer only where its door is declared."""
    is_announced = product is not None and announces(product)
    return tuple(role for role in ORDER if role is not Role.ANNOUNCER or is_announced)


def calls_out(product: Product | None) -> bool:
    """Whether the app of `product` declares a way out: its dialer then needs the network."""
    return product is not None and any(
        one.used_by is User.APP and one.hosts for one in product.interfaces
    )


def counts_against(accuser: Role, accused: Role) -> bool:
    """Whether the word of `accuser` ends `accused`: only one that is exposed as much, or more.

    Else an app that was taken ends the updater as often as it starts, until the slot gives up.
    """
    return _EXPOSED.index(accused) <= _EXPOSED.index(accuser)


def decide_patience(role: Role, *, on_trial: bool) -> float | None:
    """Seconds that the next role waits for `role` at the start; None: until it is ready.

    The app is the product's code: however broken it is, the owner reaches the device and an
    update can come. On trial it must be ready, since its failure is what a trial is for.
    """
    return APP_PATIENCE if role in DISPENSABLE and not on_trial else None


def decide_restart(
    restarts: Restarts, *, lived: float, status: int = 1, forever: bool = False
) -> tuple[Restarts, float | None]:
    """After a death with exit `status`: what to remember, and the delay before the next start.

    None: do not start it alone any more, the whole slot is unwell; never with `forever`.
    """
    quick = 1 if lived >= STEADY_SECONDS else restarts.quick + 1
    after = replace(restarts, quick=quick, total=restarts.total + 1)
    # The product's code chooses its own exit status, so that must not end the others either.
    if not forever and (quick > GIVE_UP_AFTER or status == CANNOT_RUN):
        return after, None
    return after, float(min(FIRST_DELAY * 2 ** min(quick - 1, 16), LONGEST_DELAY))
