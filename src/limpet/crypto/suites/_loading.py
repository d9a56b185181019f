"""From a suite's file to a `Suite`, or to one error that names the key.

Owns the order: size, TOML, shape, then names. Reads one file and decides nothing.
"""

from pathlib import Path

import msgspec

from limpet.errors import Rejected, naming
from limpet.storage import read_bounded

from ._types import CIPHERS, GROUPS, SIGNATURES, Suite, TlsUse

__all__ = ["SUITE_BYTES", "load_suite", "parse_suite"]

SUITE_BYTES = 64 << 10
"""Largest file that is read."""

_NAMES = {"groups": GROUPS, "signatures": SIGNATURES, "ciphers": CIPHERS}
_HINT = "docs/cryptography.md describes the file"


def load_suite(file: Path) -> Suite:
    """The suite in `file`. Raises `Unavailable`, `Rejected("bad-suite" | "too-large")`."""
    data = read_bounded(file, max_bytes=SUITE_BYTES)
    with naming(file, hint=_HINT):
        return parse_suite(data)


def parse_suite(data: bytes) -> Suite:
    """The suite in `data`. Raises `Rejected("bad-suite")`, which names the key that is wrong."""
    import tomllib  # only a process that reads a suite pays for the parser

    try:
        if len(data) > SUITE_BYTES:
            raise ValueError(f"larger than {SUITE_BYTES} bytes")
        tree = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise Rejected("bad-suite", f"not TOML: {str(error)[:200]}") from error
    try:
        suite = msgspec.convert(tree, Suite)
    except msgspec.ValidationError as error:
        raise Rejected("bad-suite", f"{error}"[:400]) from error
    for use in TlsUse:
        for key, known in _NAMES.items():
            _verify_names(f"tls.{use.value}.{key}", getattr(suite.tls_rules(use), key), known)
    return suite


def _verify_names(key: str, given: tuple[str, ...], known: dict[str, int]) -> None:
    for name in given:
        if name not in known:
            allowed = ", ".join(known)
            raise Rejected("bad-suite", f"{key}: {name[:64]!a} is not one of {allowed}")
    if len(set(given)) < len(given):
        raise Rejected("bad-suite", f"{key} names an algorithm twice")
