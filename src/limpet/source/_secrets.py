"""Secrets that lie in files: private keys, tokens of known forms, passwords written into them.

Owns the forms of tokens. Looks at bytes and at Python's syntax; what it finds it names by kind and
line, and never repeats.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from limpet.source import _private_keys
from limpet.source._written import find_in_python, find_in_settings, is_settings

__all__ = ["Spot", "find_pem_keys", "find_secrets"]

_PRIVATE_KEY = "a private key"

_TOKENS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("an access key of a cloud (AKIA…)", re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    (
        "a token of a code host",
        re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,}|glpat-[\w-]{20})"),
    ),
    ("a token of a chat service", re.compile(rb"\bx(?:ox[abprs]|app)-[A-Za-z0-9-]{20,}")),
    (
        "a token of a package index",
        re.compile(rb"\b(?:npm_[A-Za-z0-9]{36}\b|pypi-AgE[A-Za-z0-9_-]{50})"),
    ),
    ("a key of a payment service", re.compile(rb"\b[rs]k_live_[A-Za-z0-9]{20}")),
    ("a key of a cloud (AIza…)", re.compile(rb"\bAIza[A-Za-z0-9_-]{35}")),
    ("a key of a cloud (AccountKey=…)", re.compile(rb"\bAccountKey=[A-Za-z0-9+/]{86}==")),
    ("a token of a model hub", re.compile(rb"\bhf_[A-Za-z0-9]{34}\b")),
    ("a token of a mail service", re.compile(rb"\bSG\.[\w-]{22}\.[\w-]{43}")),
    ("a password for a host", re.compile(rb"\bmachine\s+\S+\s+login\s+\S+\s+password\s+\S{6}")),
    (
        "credentials of HTTP",
        re.compile(rb"\b(?:Basic [A-Za-z0-9+/]{12,}|Bearer [A-Za-z0-9._~+/-]{24,})={0,2}[\"']"),
    ),
    (
        "a signed web token (JWT)",
        re.compile(rb"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    ),
    (
        "a password in an address",
        re.compile(rb"\b[a-z][a-z0-9+]{2,9}://[^\s/:@'\"]+:[^\s/@'\"{}$<]{6,}@"),
    ),
)


@dataclass(frozen=True, slots=True)
class Spot:
    """What was found, and in which line (from 1; 0: in the file)."""

    what: str
    line: int = 0


def find_secrets(name: str, data: bytes) -> Iterator[Spot]:
    """Every secret in the file `name`, which holds `data`."""
    for form, at in _private_keys.find_private_keys(data):
        yield Spot(form or _PRIVATE_KEY, _line(data, at))
    for what, pattern in _TOKENS:
        for match in pattern.finditer(data):
            yield Spot(what, _line(data, match.start()))
    tree = _parsed(data) if name.endswith(".py") else None
    if tree is not None:
        for written, line in find_in_python(tree):
            yield Spot(f"a secret written into the code, as {written}", line)
    elif name.endswith(".py") or is_settings(name):
        for written, at in find_in_settings(data):
            yield Spot(f"a secret written into the file, as {written}", _line(data, at))


def find_pem_keys(data: bytes) -> Iterator[Spot]:
    """The private keys that lie open in PEM: all that is looked for in packages of others."""
    for at in _private_keys.find_pem_keys(data):
        yield Spot(_PRIVATE_KEY, _line(data, at))


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def _parsed(data: bytes) -> ast.AST | None:
    """None for what this Python cannot read: that is looked through as text."""
    try:
        return ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return None
