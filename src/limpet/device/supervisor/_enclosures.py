"""Which enclosure each role is started in: a table, and what the start adds to it.

Owns the decision. The file system that a role sees is what its profile grants it
(`limpet.device.confine`), and what it reads before it confines itself.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from limpet.device.confine import NETWORKED, places_of
from limpet.device.enclosure import SERVING, Enclosure, Place
from limpet.device.enclosure.ownership import own_private
from limpet.device.enclosure.users import Users
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.storage import make_directory, read_bounded
from limpet.wire.keystore import KEYSTORE_BYTES, KEYSTORE_FILE, SOFTWARE, decode_key_store

__all__ = ["enclosure_of", "prepare_directories"]

LOW_PORTS = 1024  # ip(7): below it, CAP_NET_BIND_SERVICE is needed

BEFORE: Mapping[Role, tuple[str, ...]] = {
    Role.APP: ("/sys", "/dev"),  # a product opens its hardware before it is confined
}
"""What a role reads or opens before it is confined, beyond its profile."""

TCTI_DEVICE, TCTI_SOCKET = "device:", "swtpm:path="
"""Ways to a TPM that are a file (tpm2-tss, TCTI); `limpet.wire.keystore` writes the first."""


class Log(Protocol):
    """Writes to the device's log."""

    def __call__(self, event: str, detail: str, *, level: str = "info") -> None:
        """One entry."""


def prepare_directories(root: Path, users: Users | None, log: Log) -> None:
    """Make every role's directory, and give it to its user. Raises `Unavailable`."""
    if users is None:
        for role in SERVING:
            make_directory(root / role)
        return
    settled = own_private(root, users)
    if settled.changed:
        log("ownership", f"{settled.changed} entries given to the roles' users")
    for refused in settled.refused:
        log("ownership-refused", refused, level="warning")


def enclosure_of(start: Start, users: Users | None, *, calls_out: bool) -> Enclosure:
    """The enclosure of the role of `start`. `users` is None for an ordinary user's device.

    `calls_out`: the product's app declares a way out.
    """
    network = start.role in NETWORKED or (start.role is Role.APP and calls_out)
    places = [Place(path, writable) for path, writable in places_of(start, network=network)]
    places += [Place(path, writable=True) for path in BEFORE.get(start.role, ())]
    groups: tuple[int, ...] = ()
    if start.role is Role.KEEPER:
        places.append(Place(str(start.root / KEYSTORE_FILE)))
        tpm = _tpm(start.root)
        places += [Place(file, writable=True) for file in tpm]
        groups = _groups_of(tpm)
    return Enclosure(
        user=users[start.role.value] if users else None,
        groups=groups if users else (),
        low_port=start.role is Role.GATEWAY and 0 < start.listen[1] < LOW_PORTS,
        network=network,
        places=tuple(places),
    )


def _tpm(root: Path) -> tuple[str, ...]:
    """The files through which the key store of the device at `root` reaches its TPM, if so."""
    settings = SOFTWARE
    if (root / KEYSTORE_FILE).exists():
        data = read_bounded(root / KEYSTORE_FILE, max_bytes=KEYSTORE_BYTES)
        settings = decode_key_store(data)
    if settings.backend == "tpm" and settings.tcti.startswith(TCTI_DEVICE):
        return (settings.tcti.removeprefix(TCTI_DEVICE),)
    if settings.backend == "tpm" and settings.tcti.startswith(TCTI_SOCKET):
        path = settings.tcti.removeprefix(TCTI_SOCKET)
        return path, f"{path}.ctrl"
    return ()


def _groups_of(files: Sequence[str]) -> tuple[int, ...]:
    """The groups of device files, which the system's administrator gave to who may use them.

    Never root's: that group can read more than a TPM.
    """
    groups = set()
    for file in files:
        with contextlib.suppress(OSError):  # the keeper's start says that there is no TPM
            groups.add(os.stat(file).st_gid)
    return tuple(sorted(groups - {0}))
