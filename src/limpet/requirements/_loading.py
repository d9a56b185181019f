"""Reads the two data files into frozen types.

Owns the boundary: whatever is wrong in a file becomes `Rejected`, with the file
and the place in it. Never looks at what a pointer points at.
"""

import difflib
import importlib.resources
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from limpet.errors import Rejected

from ._types import Entry, PointerKind, Statement

STATEMENTS_FILE = "statements.toml"
REGISTER_FILE = "register.toml"
MAX_DATA_BYTES = 1 << 20
MAX_SUGGESTIONS = 3

T = TypeVar("T")


class _StatementsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    statement: tuple[Statement, ...]


def load_statements() -> tuple[Statement, ...]:
    """The statements that this limpet carries, in the draft's order."""
    return parse_statements(_read_own(STATEMENTS_FILE))


def load_register() -> Mapping[str, Entry]:
    """The register that this limpet carries: statement id to entry, in the file's order."""
    return parse_register(_read_own(REGISTER_FILE))


def parse_statements(data: bytes, *, source: str = STATEMENTS_FILE) -> tuple[Statement, ...]:
    """The statements in `data` (TOML). Raises `Rejected("statements")`, naming `source` and key."""
    table = _parse_toml(data, source=source, reason="statements")
    statements = _convert(table, _StatementsFile, source=source, reason="statements").statement
    twice = [name for name, n in Counter(s.id for s in statements).items() if n > 1]
    if twice:
        raise Rejected("statements", f"{source}: {', '.join(twice)}: listed more than once")
    return statements


def parse_register(data: bytes, *, source: str = REGISTER_FILE) -> Mapping[str, Entry]:
    """The register in `data` (TOML). Raises `Rejected("register")`, naming `source` and key."""
    table = _parse_toml(data, source=source, reason="register")
    entries: dict[str, Entry] = {}
    for name, value in table.items():
        place = f"{source}: {name}"
        entry = _convert(value, Entry, source=place, reason="register")
        for kind in PointerKind:
            pointers = entry.pointers(kind)
            if len(set(pointers)) != len(pointers):
                raise Rejected("register", f"{place}.{kind}: a pointer is listed twice")
        entries[name] = entry
    return MappingProxyType(entries)


def find_statement(wanted: str, statements: Sequence[Statement]) -> Statement:
    """The statement with the id `wanted`, upper or lower case.

    Raises `Rejected("unknown-statement")`; its hint names the nearest ids.
    """
    by_id = {statement.id.lower(): statement for statement in statements}
    found = by_id.get(wanted.strip().lower())
    if found is not None:
        return found
    near = difflib.get_close_matches(wanted.lower(), by_id, n=MAX_SUGGESTIONS, cutoff=0.5)
    names = ", ".join(by_id[name].id for name in near)
    hint = f"nearest: {names}" if names else "`limpet requirements` lists all ids"
    raise Rejected("unknown-statement", f"there is no statement {wanted[:40]!r}", hint=hint)


def _read_own(name: str) -> bytes:
    return (importlib.resources.files(__package__) / name).read_bytes()


def _parse_toml(data: bytes, *, source: str, reason: str) -> dict[str, Any]:
    if len(data) > MAX_DATA_BYTES:
        raise Rejected(reason, f"{source}: larger than {MAX_DATA_BYTES} bytes")
    try:
        return tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise Rejected(reason, f"{source}: not valid TOML: {error}") from error


def _convert(value: object, kind: type[T], *, source: str, reason: str) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        hint = "for `not yet`, leave the list out" if "length >= 1" in str(error) else ""
        raise Rejected(reason, f"{source}: {error}", hint=hint) from error
