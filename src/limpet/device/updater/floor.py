"""What this device has seen and never goes behind: versions, counter, withdrawals, time.

Owns the record `floor.json`, written durably before anything acts on what it
says. python-tuf's cache is not synced and forgets with a power cut; this record is
what a replay of older metadata, or of a withdrawn release, runs into.

A floor is per key set: when the root (or the offline targets) replaces a role's keys,
its floor begins anew (TUF 1.0.33, 5.3.11: recovery from fast-forward attacks).

The time floor takes only times that offline keys signed. An online key that could
move it would let its thief set every device's clock past the expiry of all metadata.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from limpet.device.updater.records import is_damage, set_aside
from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded, write_atomic
from limpet.wire.codec import Message, Moment, decode_json, encode_json
from limpet.wire.release import Count, Digest

__all__ = ["Floor", "RoleFloor", "SeenRole", "load_floor", "raise_floor", "save_floor"]

_FLOOR_BYTES = 512 << 10
MAX_WITHDRAWN = 4096
"""Withdrawn releases that are remembered, all of them signed: decades of weekly releases."""


class RoleFloor(Message, frozen=True, kw_only=True):
    """The highest version of a role that was seen, signed by these keys."""

    version: Count
    keys: tuple[str, ...]  # key ids that the delegating role names, sorted


class Floor(Message, frozen=True, kw_only=True):
    """The whole record."""

    spec: Literal["limpet-floor-1"] = "limpet-floor-1"
    roles: dict[str, RoleFloor] = msgspec.field(default_factory=dict)
    security_counter: Count = 0
    withdrawn: Annotated[tuple[Digest, ...], Meta(max_length=MAX_WITHDRAWN)] = ()
    time: Moment  # UTC


@dataclass(frozen=True, slots=True)
class SeenRole:
    """A role's metadata as it was just verified."""

    version: int
    keys: tuple[str, ...]


_NO_ROLES: Mapping[str, SeenRole] = {}


def raise_floor(
    floor: Floor,
    *,
    roles: Mapping[str, SeenRole] = _NO_ROLES,
    withdrawn: tuple[str, ...] = (),
    signed: frozenset[str] | None = None,
    security_counter: int = 0,
    signed_time: datetime | None = None,
) -> Floor:
    """The floor after these sightings. Raises `Rejected("rollback")` for a role behind it.

    `signed_time` must come from an offline signature, and so must `signed`, all releases that
    exist now. A withdrawal of anything else is not remembered, and forgotten first: the online
    key that withdraws could otherwise fill the memory, until the withdrawal that it must hide
    falls out of it.
    """
    kept = dict(floor.roles)
    for name, seen in roles.items():
        known = kept.get(name)
        if known is not None and known.keys == seen.keys and seen.version < known.version:
            raise Rejected(
                "rollback",
                f"the repository shows version {seen.version} of {name},"
                f" this device has seen {known.version}",
            )
        kept[name] = RoleFloor(version=seen.version, keys=seen.keys)
    fresh = tuple(
        digest
        for digest in dict.fromkeys(withdrawn)
        if digest not in floor.withdrawn and (signed is None or digest in signed)
    )
    remembered = (*floor.withdrawn, *fresh)
    if signed is not None and len(remembered) > MAX_WITHDRAWN:
        remembered = tuple(digest for digest in remembered if digest in signed)
    return msgspec.structs.replace(
        floor,
        roles=kept,
        withdrawn=remembered[-MAX_WITHDRAWN:],
        security_counter=max(floor.security_counter, security_counter),
        time=max(floor.time, signed_time) if signed_time else floor.time,
    )


def load_floor(
    file: Path,
    *,
    built_at: datetime,
    security_counter: int,
    has_looked: bool = False,
    first: Mapping[str, SeenRole] = _NO_ROLES,
) -> tuple[Floor, str]:
    """The floor, never below the firmware's own build time, boot's counter and `first`; and a
    warning. `first` is what the factory had seen.

    `has_looked` says that something else remembers an offer: a missing record is then a lost one.
    A damaged record is set aside and begun anew (the warning says so): refusing all updates
    for ever would be worse, and boot's counter, TUF's cache and the plan's list of
    withdrawals still hold. Raises `Unavailable` if it cannot be read or set aside.
    """
    warning, floor = "", Floor(time=built_at)
    try:
        if file.exists():
            data = read_bounded(file, max_bytes=_FLOOR_BYTES)
            floor = decode_json(data, Floor, max_bytes=_FLOOR_BYTES)
            if floor.time.tzinfo is None:
                raise Rejected("malformed", "a time without a zone")
        elif has_looked:
            warning = f"{file.name} is missing, though offers were seen: it is begun anew"
    except (Rejected, Unavailable) as error:
        if not is_damage(error):
            raise
        floor, warning = Floor(time=built_at), f"{file.name} was damaged: {error.message}"
        set_aside(file)
    raised = raise_floor(
        floor,
        roles=_not_yet_seen(floor, first),
        security_counter=security_counter,
        signed_time=built_at,
    )
    return raised, warning


def _not_yet_seen(floor: Floor, first: Mapping[str, SeenRole]) -> dict[str, SeenRole]:
    """Of `first`, what raises the floor. Keys that were seen since have replaced the factory's."""
    raising = {}
    for name, seen in first.items():
        known = floor.roles.get(name)
        if known is None or (known.keys == seen.keys and known.version < seen.version):
            raising[name] = seen
    return raising


def save_floor(file: Path, floor: Floor) -> None:
    """Make the floor durable. Raises `Unavailable`; nothing may then act on the newer one."""
    write_atomic(file, encode_json(floor))
