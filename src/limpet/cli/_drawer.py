"""The vendor's drawer, as several commands open it: where it lies, and its keys' passphrase.

Owns these two options and how a renewal is shown.
"""

import os
from datetime import datetime
from pathlib import Path

import msgspec
import typer

from limpet.errors import Rejected

__all__ = ["OFFLINE", "PASSPHRASE_ENV", "Renewed", "read_passphrase"]

OFFLINE: Path | None = typer.Option(None, "--offline", help="The drawer; DIR/offline by default.")
PASSPHRASE_ENV: str = typer.Option(
    "",
    "--passphrase-env",
    metavar="NAME",
    help="The offline keys are encrypted with the passphrase in this environment variable.",
)


class Renewed(msgspec.Struct, frozen=True, kw_only=True):
    """What was signed with the drawer open, as `--json` gives it."""

    expires: datetime  # when the first of root and targets does, UTC


def read_passphrase(variable: str) -> bytes | None:
    """What the environment variable holds; None without a name. Raises `Rejected`."""
    if not variable:
        return None
    passphrase = os.environ.get(variable, "").encode()
    if not passphrase:
        raise Rejected("no-passphrase", f"the environment variable {variable} is empty or not set")
    return passphrase
