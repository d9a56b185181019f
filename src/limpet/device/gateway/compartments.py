"""What the supervisor tells of the device in `run/status.json`: confinement and randomness.

Owns reading that file. Trusts it as far as a report goes: nothing is decided by it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from limpet.device.link.entropy import RandomnessReport
from limpet.device.link.messages import Confinement
from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded
from limpet.wire.codec import decode_json

__all__ = ["Compartments", "load_compartments"]

STATUS_BYTES = 64 << 10


class _Role(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of one role's entry; the file says more."""

    role: str
    confinement: tuple[Confinement, ...] = ()


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of the file."""

    roles: tuple[_Role, ...]
    randomness: RandomnessReport | None = None


@dataclass(frozen=True, slots=True)
class Compartments:
    """Each role's mechanisms by its name, none while a role is starting; the random source."""

    confinement: Mapping[str, Sequence[Confinement]]
    randomness: RandomnessReport | None = None


def load_compartments(root: Path) -> Compartments:
    """The supervisor's last word.

    Raises `Unavailable` if the supervisor's word cannot be had.
    """
    try:
        data = read_bounded(root / "run" / "status.json", max_bytes=STATUS_BYTES)
        status = decode_json(data, _Status, max_bytes=STATUS_BYTES)
    except (Rejected, Unavailable) as error:
        raise Unavailable("the supervisor's status cannot be read") from error
    confinement = {one.role: one.confinement for one in status.roles}
    return Compartments(confinement, status.randomness)
