"""A parsed TOML tree turned into frozen types, all mismatches at once.

Owns the walk from plain tables and arrays to the Structs of `_types`. It knows
nothing of any single key: the types say what is allowed. Unlike
`msgspec.convert`, which stops at the first mismatch, it goes on and reports
each by its path; msgspec judges the single values.
"""

import datetime
import functools
from enum import StrEnum
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

from ._problem import Finding, Nearest, Path, quote

__all__ = ["MAX_ENTRIES", "build"]

MAX_ENTRIES = 256
"""Entries of one array."""

_KINDS: dict[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a fraction",
    datetime.date: "a date",
    datetime.datetime: "a date with a time",
    datetime.time: "a time",
    list: "an array",
    dict: "a table",
}

S = TypeVar("S", bound=msgspec.Struct)


def build(tree: dict[str, Any], into: type[S]) -> S | tuple[Finding, ...]:
    """`tree` as an `into`, or everything about its shape that does not fit."""
    findings: list[Finding] = []
    whole = _table(tree, into, (), findings)
    return tuple(findings) if findings or not isinstance(whole, into) else whole


def _value(value: object, wanted: Any, path: Path, findings: list[Finding]) -> object:
    """`value` as `wanted`; where it does not fit, a finding and None."""
    wanted = _without_none(wanted)
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return _table(value, wanted, path, findings)
    if get_origin(wanted) is tuple:
        return _array(value, get_args(wanted)[0], path, findings)
    return _leaf(value, wanted, path, findings)


def _table(value: object, wanted: type[S], path: Path, findings: list[Finding]) -> S | None:
    if not isinstance(value, dict):
        findings.append(Finding(path, f"expected a table, not {_kind(value)}"))
        return None
    before = len(findings)
    fields = _fields(wanted)
    for key in value.keys() - fields.keys():
        findings.append(_unknown_key((*path, key), key, tuple(fields)))
    parts: dict[str, object] = {}
    for key, field in fields.items():
        if key in value:
            parts[field.name] = _value(value[key], field.type, (*path, key), findings)
        elif field.required:
            findings.append(_missing_part((*path, key), key))
    return wanted(**parts) if len(findings) == before else None


@functools.cache  # a file has dozens of tables of one type, and msgspec looks at its types anew
def _fields(wanted: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(wanted)}


def _array(value: object, wanted: Any, path: Path, findings: list[Finding]) -> object:
    if not isinstance(value, list):
        findings.append(Finding(path, f"expected an array, not {_kind(value)}"))
        return None
    if len(value) > MAX_ENTRIES:
        findings.append(Finding(path, f"more than {MAX_ENTRIES} entries"))
        return None
    return tuple(
        _value(entry, wanted, (*path, index), findings) for index, entry in enumerate(value)
    )


def _leaf(value: object, wanted: Any, path: Path, findings: list[Finding]) -> object:
    if wanted is datetime.date and type(value) is not datetime.date:
        findings.append(Finding(path, f"expected a date (YYYY-MM-DD), not {_kind(value)}"))
        return None
    try:
        return msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        findings.append(_misfit(value, wanted, path))
        return None


def _misfit(value: object, wanted: Any, path: Path) -> Finding:
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        words = [member.value for member in wanted]
        given = quote(value) if isinstance(value, str) else _kind(value)
        hint = Nearest(value, tuple(words)) if isinstance(value, str) else ""
        return Finding(path, f"expected one of {', '.join(words)}, not {given}", hint)
    given = quote(value) if isinstance(value, str) else _kind(value)
    if type(value) is int:
        given = str(value) if abs(value) < 10**12 else "a number that large"
    return Finding(path, f"expected {_described(wanted)}, not {given}")


def _described(wanted: Any) -> str:
    if get_origin(wanted) is Annotated:
        for note in get_args(wanted)[1:]:
            if isinstance(note, msgspec.Meta) and note.description:
                return note.description
        wanted = get_args(wanted)[0]
    return _KINDS.get(wanted, "another kind of value")


def _unknown_key(path: Path, key: str, known: tuple[str, ...]) -> Finding:
    hint = Nearest(key, known, otherwise=f"the keys here are {', '.join(known)}")
    return Finding(path, "unknown key", hint)


def _missing_part(path: Path, key: str) -> Finding:
    return Finding(path, "is missing", f"write {key} here; docs/product-file.md says what it means")


def _without_none(wanted: Any) -> Any:
    if get_origin(wanted) in (Union, UnionType):
        return next(part for part in get_args(wanted) if part is not NoneType)
    return wanted


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "another kind of value")
