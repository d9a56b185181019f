"""Passphrases and PINs: from a variable that a person names, or typed where there is a terminal.

Owns the asking. Never takes a secret as an argument, which every process of a machine can read.
"""

import os
import sys
from collections.abc import Callable

import typer

from limpet.errors import Unavailable

__all__ = ["ask_new_passphrase", "secret_from"]


def secret_from(variable: str | None, *, what: str, option: str) -> Callable[[str], bytes]:
    """Asks for the secret of a key by its name: `what` it is, and the `option` that names a
    variable. Raises `Unavailable` where there is neither variable nor terminal."""

    def ask(name: str) -> bytes:
        if variable:
            return _variable(variable)
        if not sys.stdin.isatty():
            raise Unavailable(
                f"{name} needs a {what}, and there is no terminal to ask on",
                hint=f"put it into a variable and name that: {option} VARIABLE",
            )
        asked: str = typer.prompt(
            f"{what[:1].upper()}{what[1:]} of {name}", hide_input=True, err=True
        )
        return asked.encode()

    return ask


def ask_new_passphrase(variable: str | None, name: str) -> bytes:
    """A passphrase for a new key, typed twice or from `variable`. Raises `Unavailable`."""
    if variable:
        return _variable(variable)
    if not sys.stdin.isatty():
        raise Unavailable(
            "there is no terminal to ask for a passphrase on",
            hint="put it into a variable and name that: --passphrase-env VARIABLE",
        )
    asked: str = typer.prompt(
        f"A passphrase for {name}", hide_input=True, confirmation_prompt=True, err=True
    )
    return asked.encode()


def _variable(name: str) -> bytes:
    value = os.environ.get(name, "")
    if not value:
        raise Unavailable(f"the variable {name} is empty or not set")
    return value.encode()
