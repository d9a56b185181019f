"""Putting the locked packages into a firmware tree, and telling what was put there.

    packages/<import name>/…
    packages/<name>-<version>.dist-info/    METADATA, WHEEL, licences; no RECORD
    packages/packages.json                  name, version, wheel and its SHA-256, sorted

The same lock, wheels and target give the same files, whatever the machine and the day.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from limpet.errors import Rejected, Unavailable
from limpet.release.packages._gathering import fetch_wheels, gather_wheels
from limpet.release.packages._lock import LIMPET_LOCK, LOCK_FILE, load_lock
from limpet.release.packages._needs import verify_needs
from limpet.release.packages._target import Target, this_machine
from limpet.release.packages._wheel import Wheel, read_wheel
from limpet.wire.codec import encode_json

__all__ = ["PACKAGES", "PACKAGES_FILE", "Package", "PackageOrder", "add_packages"]

PACKAGES = "packages"
"""The directory of a firmware tree that holds them."""

PACKAGES_FILE = "packages.json"


UNUSED: Mapping[str, tuple[str, ...]] = {
    "securesystemslib": ("securesystemslib/_vendor/ed25519/test_data/",),  # for tests of its own
    "zstandard": ("zstandard/_cffi.",),  # PyPy's; Python's is backend_c
}
"""How the paths of large files begin that no device loads: a third of all that the wheels hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOrder:
    """Which packages, for what, and from where.

    `lock` None: the product's `device.lock`, or that of limpet. `wheels` None: pip brings them
    into `cache`.
    """

    cache: Path
    lock: Path | None = None
    wheels: Path | None = None
    target: Target = field(default_factory=this_machine)


class Package(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of `packages.json`."""

    name: str  # normalised (PEP 503)
    version: str
    wheel: str  # file name
    sha256: str  # of the wheel, as locked; hexadecimal


def add_packages(
    order: PackageOrder,
    product: Path,
    tree: Path,
    *,
    app_requires: tuple[str, ...] = (),
    note: Callable[[str], None],
) -> tuple[Package, ...]:
    """Fill `tree`/packages with what the device needs. Returns what `packages.json` says.

    Raises `Rejected` for a lock that is bad, incomplete or too long, for wheels that are not
    the locked ones, not for the target or not whole, and `Unavailable` for what is missing.
    """
    own = product / LOCK_FILE
    lock = load_lock(order.lock or (own if own.exists() else LIMPET_LOCK))
    chosen = lock.select(order.target.environment)
    wanted = [chosen[name] for name in sorted(chosen)]
    if order.wheels is None:
        found = fetch_wheels(wanted, order.target, order.cache, note)
    else:
        found = gather_wheels(wanted, order.wheels, order.target)
    note(f"putting {len(found)} packages in")
    wheels = {name: read_wheel(*found[name], order.target) for name in sorted(found)}
    verify_needs(lock, chosen, wheels, app_requires=app_requires, target=order.target)
    return _write(wheels, tree / PACKAGES)


def _write(wheels: dict[str, Wheel], place: Path) -> tuple[Package, ...]:
    packages = tuple(
        Package(name=name, version=str(one.version), wheel=one.file, sha256=one.sha256)
        for name, one in sorted(wheels.items())
    )
    try:
        place.mkdir()
        for wheel in wheels.values():
            for path, content in wheel.files:
                if not path.startswith(UNUSED.get(wheel.name, ())):
                    _write_file(place / path, content, wheel)
        (place / PACKAGES_FILE).write_bytes(encode_json(packages))
        (place / PACKAGES_FILE).chmod(0o644)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot put packages into {place}: {why}") from error
    return packages


def _write_file(path: Path, content: bytes, wheel: Wheel) -> None:
    """Never over another one's; never executable, which no import needs."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        message = f"{wheel.file}: another package has {path.name} at the same place"
        raise Rejected("bad-wheel", message) from error
    path.chmod(0o644)
