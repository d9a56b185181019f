"""Signing by the offline keys, as several commands of `limpet release` do it.

Owns the options that name drawer, keys and passphrase, and how a signature is shown.
"""

import os
import sys
from pathlib import Path

import msgspec
import typer

from limpet.errors import Unavailable
from limpet.release import Signed, SigningOrder, default_keys

__all__ = [
    "KEYS",
    "OFFLINE",
    "PASSPHRASE_ENV",
    "REPOSITORY",
    "ROOT",
    "SignedShown",
    "print_signed",
    "show_signed",
    "signing_order",
]

OFFLINE = typer.Option(..., "--offline", help="The drawer with the release keys.")
REPOSITORY = typer.Option(..., "--repository", help="The current public/repository.")
ROOT = typer.Option(
    None, "--root", help="The root of trust; trust/root.json beside the drawer by default."
)
KEYS = typer.Option(None, "--key", help="Sign with this key (repeatable); default: the drawer's.")
PASSPHRASE_ENV = typer.Option(
    None, "--passphrase-env", help="Take the keys' passphrase from this variable, do not ask."
)


class SignedShown(msgspec.Struct, frozen=True, kw_only=True):
    """A signature, as `--json` gives it."""

    file: str
    version: int
    signatures: int
    threshold: int
    missing: tuple[str, ...]


def signing_order(
    model: str,
    offline: Path,
    repository: Path,
    root: Path | None,
    keys: list[Path] | None,
    passphrase_env: str | None,
) -> SigningOrder:
    """Who signs for `model`. Raises `Unavailable` where there is no key or no passphrase."""
    chosen = tuple(keys or default_keys(offline, model))
    if not chosen:
        raise Unavailable(f"no release key of {model} in {offline}", hint="name one: --key FILE")
    return SigningOrder(
        repository=repository,
        root=root or offline.parent / "trust" / "root.json",
        keys=chosen,
        passphrase=_passphrase(chosen, passphrase_env),
    )


def _passphrase(keys: tuple[Path, ...], variable: str | None) -> bytes | None:
    if variable is not None:
        value = os.environ.get(variable)
        if value is None:
            raise Unavailable(f"the variable {variable} is not set")
        return value.encode()
    encrypted = [key for key in keys if key.is_file() and _is_encrypted(key)]
    if not encrypted:
        return None
    if not sys.stdin.isatty():
        raise Unavailable(
            f"{encrypted[0].name} needs a passphrase, and there is no terminal to ask on",
            hint="put it into a variable and name that: --passphrase-env VARIABLE",
        )
    asked: str = typer.prompt(f"Passphrase of {encrypted[0].name}", hide_input=True, err=True)
    return asked.encode()


def _is_encrypted(key: Path) -> bool:
    with key.open("rb") as file:
        return b"ENCRYPTED" in file.read(128)


def show_signed(signed: Signed) -> SignedShown:
    """The signature as it is shown."""
    return SignedShown(
        file=str(signed.path),
        version=signed.version,
        signatures=signed.signatures,
        threshold=signed.threshold,
        missing=signed.missing,
    )


def print_signed(signed: SignedShown) -> None:
    """The signature for a person."""
    print(
        f"{signed.file}: version {signed.version}, signature {signed.signatures} of at least"
        f" {signed.threshold}"
    )
    for family in signed.missing:
        print(f"  too few signatures by keys of {family}")
    if signed.missing or signed.signatures < signed.threshold:
        print("  not valid yet: the next signer runs the same command")
