"""What `limpet release build` is told of the packages that go into a firmware, and limpet's lock.

Owns these options and the command `lock`. Decides nothing.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

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

__all__ = ["LOCK_EXAMPLE", "Packages", "lock"]

LOCK_EXAMPLE = "limpet release lock > limpet.lock"


@dataclass(frozen=True, slots=True)
class Packages:
    """Which packages, for what machine, and from where."""

    lock: Annotated[
        Path | None,
        typer.Option(help="What goes in; device.lock of the product, or limpet's own, by default."),
    ] = None
    wheels: Annotated[
        Path | None, typer.Option(help="A directory of the wheels; pip brings them by default.")
    ] = None
    platform: Annotated[
        str | None,
        typer.Option(help="Of the devices, as manylinux_2_36_aarch64; by default this machine's."),
    ] = None
    python_version: Annotated[
        str | None, typer.Option(help="Of the devices, as 3.11; by default this one's.")
    ] = None
    without_packages: Annotated[
        bool,
        typer.Option(
            "--without-packages",
            help="For development: devices use those of their interpreter; the gate refuses it.",
        ),
    ] = False

    def order(self) -> PackageOrder | None:
        """The order that these options make. Raises `Rejected`, and `Unavailable` on a machine
        whose platform has no name."""
        if self.without_packages:
            if self.lock or self.wheels or self.platform or self.python_version:
                raise Rejected("malformed", "--without-packages leaves nothing to choose")
            return None
        return PackageOrder(
            cache=cache_directory(os.environ),
            lock=self.lock,
            wheels=self.wheels,
            target=Target(self.platform or this_platform(), self.python_version or THIS_PYTHON),
        )


class _OwnLock(msgspec.Struct, frozen=True, kw_only=True):
    """Limpet's lock, as `--json` gives it."""

    lock: str


def lock(json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Print what limpet's device runtime needs, pinned by hash; a product's device.lock adds."""
    text = LIMPET_LOCK.read_text(encoding="ascii")
    emit(_OwnLock(lock=text), json=json, human=lambda own: print(own.lock, end=""))
