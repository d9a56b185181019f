"""Rings: who goes first, by name, before any share of the fleet.

Owns the rules of a ring's name and of what a rollout takes of it. A ring is the vendor's own
list; a device knows of none, and a plan names its members by hashes
(`limpet.wire.rollout.device_tag`).
"""

import re
from collections.abc import Sequence

from sqlalchemy import Connection

from limpet.errors import Rejected
from limpet.vendor.store import Database, Devices, Ring, Rings
from limpet.wire.rollout import MAX_NAMED

__all__ = [
    "CANARIES",
    "choose_rings",
    "find_strangers",
    "list_rings",
    "make_room",
    "remove_ring",
    "set_ring",
]

CANARIES = "canaries"
"""The ring of devices that were named one by one when a rollout was started."""

_NAME = re.compile("[a-z][a-z0-9-]{0,31}", re.ASCII)
_SERIAL = re.compile("[A-Za-z0-9-]{1,32}", re.ASCII)


def list_rings(database: Database, model: str) -> tuple[Ring, ...]:
    """Every ring, in the order in which they are kept."""
    with database.reading() as connection:
        return Rings(connection, model).all()


def set_ring(
    database: Database,
    model: str,
    name: str,
    *,
    join: Sequence[str] = (),
    leave: Sequence[str] = (),
    rank: int | None = None,
) -> tuple[Ring, ...]:
    """Make or change a ring, all of it or nothing; devices may join before they ever called.

    A rollout that runs keeps the rings that it was started with. Raises `Rejected`: bad-ring,
    unknown-device for one that is to leave and is in no ring.
    """
    if not _NAME.fullmatch(name) or name == CANARIES:
        raise Rejected(
            "bad-ring",
            f"{name!a} is no name for a ring",
            hint=f"a word in lower case, and not {CANARIES}",
        )
    with database.transaction() as connection:
        rings = Rings(connection, model)
        rings.put(name, rank=rank)
        for serial in leave:
            if not rings.leave(serial):
                raise Rejected("unknown-device", f"{serial} is in no ring")
        for serial in join:
            if not _SERIAL.fullmatch(serial):
                raise Rejected("bad-ring", f"{serial!a} is no serial number")
            rings.join(serial, name)
        found = rings.all()
        if any(len(ring.serials) > MAX_NAMED for ring in found):
            raise Rejected("bad-ring", f"a ring has at most {MAX_NAMED} devices")
    return found


def find_strangers(database: Database, serials: Sequence[str]) -> tuple[str, ...]:
    """Those of `serials` that have never called: made and not sold yet, or mistyped."""
    with database.transaction() as connection:
        devices = Devices(connection)
        return tuple(serial for serial in serials if devices.find(serial) is None)


def make_room(database: Database, model: str, name: str, *, count: int) -> None:
    """See that `count` more devices can join the ring, and make it if there is none.

    For a factory, before it makes the first of them. Raises `Rejected("bad-ring")`.
    """
    [ring] = [one for one in set_ring(database, model, name) if one.name == name]
    if len(ring.serials) + count > MAX_NAMED:
        raise Rejected(
            "bad-ring",
            f"a ring has at most {MAX_NAMED} devices; {name} has {len(ring.serials)}",
            hint="make fewer, or name another ring",
        )


def remove_ring(database: Database, model: str, name: str) -> tuple[Ring, ...]:
    """Forget a ring; its devices are in none then. Raises `Rejected("unknown-ring")`."""
    with database.transaction() as connection:
        rings = Rings(connection, model)
        if not rings.remove(name):
            raise Rejected("unknown-ring", f"there is no ring {name}")
        return rings.all()


def choose_rings(
    connection: Connection, model: str, canaries: Sequence[str], names: Sequence[str]
) -> tuple[Ring, ...]:
    """The rings of a rollout: canaries first, each device in the first ring that names it.

    Raises `Rejected`: unknown-ring; unknown-device for a canary that never called (or is blocked),
    or a ring of which nobody did.
    """
    known = {ring.name: ring for ring in Rings(connection, model).all()}
    wanted = [Ring(CANARIES, tuple(canaries))] if canaries else []
    for name in dict.fromkeys(names):
        if name not in known:
            raise Rejected(
                "unknown-ring",
                f"there is no ring {name}",
                hint=f"make it: limpet rollout ring {name} SERIAL --vendor DIR",
            )
        wanted.append(known[name])
    devices, taken, chosen = Devices(connection), set[str](), list[Ring]()
    for serial in canaries:
        _verify_canary(devices, serial)
    for ring in wanted:
        fresh = tuple(s for s in dict.fromkeys(ring.serials) if s not in taken)
        taken.update(fresh)
        callers = [d for d in map(devices.find, fresh) if d is not None and d.blocked_at is None]
        if not callers:
            raise Rejected(
                "unknown-device",
                f"nobody in ring {ring.name} has called the vendor yet",
                hint="leave the ring out, or wait until one of its devices has called",
            )
        chosen.append(Ring(ring.name, fresh))
    return tuple(chosen)


def _verify_canary(devices: Devices, serial: str) -> None:
    device = devices.find(serial)
    if device is None or device.blocked_at is not None:
        what = "was never seen here" if device is None else "is blocked"
        raise Rejected(
            "unknown-device",
            f"the canary {serial} {what}",
            hint="name devices that have called the vendor at least once, by their serial number",
        )
