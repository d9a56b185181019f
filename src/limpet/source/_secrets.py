"""Secrets that lie in files: private keys, tokens of known forms, passwords written into code.

Owns the patterns. Looks at bytes and at Python's syntax; what it finds it names by kind and
line, and never repeats.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["PRIVATE_KEY", "Spot", "find_secrets"]

PRIVATE_KEY = "a private key"

_PRIVATE_KEY = re.compile(
    rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s+"
    rb"(?:[A-Za-z-]+: [^\n]*\n)*\s*[A-Za-z0-9+/=]{16}"
)
_TOKENS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("an access key of a cloud (AKIA…)", re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    (
        "a token of a code host",
        re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,}|glpat-[\w-]{20})"),
    ),
    ("a token of a chat service", re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{20,}")),
    (
        "a signed web token (JWT)",
        re.compile(rb"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    ),
    (
        "a password in an address",
        re.compile(rb"\b[a-z][a-z0-9+]{2,9}://[^\s/:@'\"]+:[^\s/@'\"{}$<]{6,}@"),
    ),
)
_NAMED = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|api_?key|private_?key|access_?key|auth_?token|token)$",
    re.IGNORECASE,
)
_LEAST = 8  # characters of a text that may be a secret
_LEAST_BITS = 2.5  # of Shannon's entropy a character: words of a language have more than "aaaaaaaa"
_PLACEHOLDER = re.compile(r"[<{$%].*|.*\s.*|x+|\*+|change.?me.*|example.*|none|null", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Spot:
    """What was found, and in which line (from 1; 0: in the file)."""

    what: str
    line: int = 0


def find_secrets(name: str, data: bytes) -> Iterator[Spot]:
    """Every secret in the file `name`, which holds `data`."""
    for match in _PRIVATE_KEY.finditer(data):
        yield Spot(PRIVATE_KEY, _line(data, match.start()))
    for what, pattern in _TOKENS:
        for match in pattern.finditer(data):
            yield Spot(what, _line(data, match.start()))
    if name.endswith(".py"):
        yield from _written_into_code(data)


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def _written_into_code(data: bytes) -> Iterator[Spot]:
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError):
        return  # the build and the tests say so
    for node in ast.walk(tree):
        for target, value in _assignments(node):
            if _NAMED.search(target) and _is_secret(value):
                line = getattr(value, "lineno", 0)
                yield Spot(f"a secret written into the code, as {target[:60]}", line)


def _assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                if isinstance(target, ast.Name | ast.Attribute):
                    yield (target.id if isinstance(target, ast.Name) else target.attr), value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value


def _is_secret(value: ast.expr) -> bool:
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str | bytes):
        return False
    text = value.value if isinstance(value.value, str) else value.value.decode("latin-1")
    return (
        len(text) >= _LEAST and not _PLACEHOLDER.fullmatch(text) and _entropy(text) >= _LEAST_BITS
    )


def _entropy(text: str) -> float:
    """Bits a character (Shannon), of the text's own letters."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)
