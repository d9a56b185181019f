"""Signing by the offline keys, as several commands of `limpet release` do it.

Owns the options that name drawer, keys and passphrase, and how a signature is shown. Loads what
signs only where it is to sign: `limpet vendor` has these options, too, and its service no need.
"""

import dataclasses
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from limpet.cli._options import takes
from limpet.cli._secrets import secret_from
from limpet.crypto.token_keys import is_token_uri
from limpet.errors import Unavailable

if TYPE_CHECKING:
    from limpet.release import Signed, SigningOrder

__all__ = ["SignedShown", "Signer", "print_signed", "show_signed", "takes_signer"]


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, as the five options of every signing command say it."""

    offline: Annotated[Path | None, typer.Option(help="The drawer with the release keys.")] = None
    repository: Annotated[Path | None, typer.Option(help="The current public/repository.")] = None
    root: Annotated[
        Path | None,
        typer.Option(help="The root of trust; trust/root.json beside the drawer by default."),
    ] = None
    key: Annotated[
        list[Path] | None,
        typer.Option(
            help="Sign with this key, a file or a pkcs11: URI (repeatable); default: the drawer's."
        ),
    ] = None
    passphrase_env: Annotated[
        str | None,
        typer.Option(help="Take the keys' passphrase from this variable, do not ask."),
    ] = None
    pin_env: Annotated[
        str | None, typer.Option(help="Take a token's PIN from this variable, do not ask.")
    ] = None

    def order(self, model: str) -> "SigningOrder":
        """What signs for `model`. Raises `Unavailable` where there is no key or no passphrase."""
        from limpet.release import default_keys

        keys = tuple(self.key or (default_keys(self.offline, model) if self.offline else ()))
        if not keys and self.offline is None:
            raise typer.BadParameter("say --offline DIR, or --key KEY", param_hint="--offline")
        if not keys:
            raise Unavailable(
                f"no release key of {model} in {self.offline}", hint=_advise(self.offline)
            )
        files = tuple(key for key in keys if not is_token_uri(str(key)))
        return dataclasses.replace(
            self.draft_order(),
            keys=keys,
            passphrase=_passphrase(files, self.passphrase_env),
            pin=secret_from(self.pin_env, what="PIN", option="--pin-env"),
        )

    def draft_order(self) -> "SigningOrder":
        """What is continued, without a key: for what others shall sign."""
        from limpet.release import SigningOrder

        if self.repository is None:
            raise typer.BadParameter("it is needed", param_hint="--repository")
        root = self.root or (self.offline.parent / "trust" / "root.json" if self.offline else None)
        if root is None:
            raise typer.BadParameter("say --root FILE, or --offline DIR", param_hint="--root")
        return SigningOrder(repository=self.repository, root=root)


takes_signer = takes("signer", Signer)
"""A decorator: the options of a `Signer` in the place of a command's parameter `signer`."""


class SignedShown(msgspec.Struct, frozen=True, kw_only=True):
    """A signature, as `--json` gives it."""

    file: str
    version: int
    signatures: int
    threshold: int
    missing: tuple[str, ...]


def _advise(offline: Path | None) -> str:
    """What a person does who named this drawer, which has no key of the model."""
    if offline is None or not offline.is_dir():
        return "there is no such directory; or name a key: --key FILE"
    others = {file.stem for file in offline.glob("releases-*.pem") if ".pub" not in file.suffixes}
    models = sorted({name.removeprefix("releases-").removesuffix("-ml-dsa-65") for name in others})
    if not models:
        return "it is no drawer of release keys; or name a key: --key FILE"
    known = ", ".join(models[:8])
    return f"it has keys of {known}: is the model's name in product.toml right?"


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


def show_signed(signed: "Signed") -> SignedShown:
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
