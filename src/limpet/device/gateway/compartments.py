"""How the other roles are confined, as the supervisor keeps it in `run/status.json`.

Owns reading that file. Trusts it as far as a report goes: nothing is decided by it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from limpet.device.link.messages import Confinement
from limpet.errors import Rejected, Unavailable
from limpet.storage import read_bounded
from limpet.wire.codec import decode_json

__all__ = ["load_confinement"]

STATUS_BYTES = 64 << 10


class _Role(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of one role's entry; the file says more."""

    role: str
    confinement: tuple[Confinement, ...] = ()


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of the file."""

    roles: tuple[_Role, ...]


def load_confinement(root: Path) -> Mapping[str, Sequence[Confinement]]:
    """Each role's mechanisms, by its name; none while a role is starting.

    Raises `Unavailable` if the supervisor's word cannot be had.
    """
    try:
        data = read_bounded(root / "run" / "status.json", max_bytes=STATUS_BYTES)
        status = decode_json(data, _Status, max_bytes=STATUS_BYTES)
    except (Rejected, Unavailable) as error:
        raise Unavailable("the supervisor's status cannot be read") from error
    return {one.role: one.confinement for one in status.roles}
