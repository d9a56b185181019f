"""What `limpet release build` is told of the packages that go into a firmware, and limpet's lock.

Owns these options and the command `lock`. Decides nothing.
"""

import os
from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit
from limpet.errors import Rejected
from limpet.release.packages import (
    LIMPET_LOCK,
    THIS_PYTHON,
    PackageOrder,
    Target,
    cache_directory,
    this_platform,
)

__all__ = ["LOCK", "LOCK_EXAMPLE", "PLATFORM", "PYTHON", "WHEELS", "WITHOUT", "package_order"]

LOCK: Path | None = typer.Option(
    None, "--lock", help="What goes in; device.lock of the product, or limpet's own, by default."
)
WHEELS: Path | None = typer.Option(
    None, "--wheels", help="A directory of the wheels; pip brings them by default."
)
PLATFORM: str | None = typer.Option(
    None, "--platform", help="Of the devices, as manylinux_2_36_aarch64; by default this machine's."
)
PYTHON: str | None = typer.Option(
    None, "--python-version", help="Of the devices, as 3.11; by default this one's."
)
WITHOUT: bool = typer.Option(
    False, "--without-packages", help="For development: devices use those of their interpreter."
)


LOCK_EXAMPLE = "limpet release lock > limpet.lock"


class _OwnLock(msgspec.Struct, frozen=True, kw_only=True):
    """Limpet's lock, as `--json` gives it."""

    lock: str


def lock(json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Print what limpet's device runtime needs, pinned by hash; a product's device.lock adds."""
    text = LIMPET_LOCK.read_text(encoding="ascii")
    emit(_OwnLock(lock=text), json=json, human=lambda own: print(own.lock, end=""))


def package_order(
    lock: Path | None,
    wheels: Path | None,
    platform: str | None,
    python: str | None,
    *,
    without: bool,
) -> PackageOrder | None:
    """The order that these options make. Raises `Rejected`, and `Unavailable` on a machine whose
    platform has no name."""
    if without:
        if lock or wheels or platform or python:
            raise Rejected("malformed", "--without-packages leaves nothing to choose")
        return None
    return PackageOrder(
        cache=cache_directory(os.environ),
        lock=lock,
        wheels=wheels,
        target=Target(platform or this_platform(), python or THIS_PYTHON),
    )
