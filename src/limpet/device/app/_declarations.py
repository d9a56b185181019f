"""What a product can do: its functions, declared once, typed and with an access level.

Owns the declaration of a function and its JSON Schemas. From the same
declaration come the check of the arguments, the gateway's routes and the
OpenAPI document, so that they cannot drift. Pure.
"""

import enum
import inspect
import re
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from limpet.device.link.messages import Access
from limpet.errors import Misuse
from limpet.wire.codec import Message

__all__ = ["Declaration", "Function", "Kind", "declare", "make_function", "schema_of"]

SCHEMA_DEPTH = 16
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class Kind(enum.Enum):
    """A reading changes nothing (HTTP GET, RFC 9110, 9.2.1); an action may."""

    READING = "reading"
    ACTION = "action"


class Declaration(Message, frozen=True, kw_only=True):
    """One function as others see it; `access` is the number of the `Access` level."""

    name: str
    kind: Kind
    access: Access
    summary: str
    arguments: dict[str, Any]  # JSON Schema 2020-12, of an object
    result: dict[str, Any]
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One declared function; `arguments` is the struct made from its parameters."""

    name: str
    kind: Kind
    access: Access
    summary: str
    unit: str
    implementation: Callable[..., Any]
    arguments: type[msgspec.Struct]
    result: Any


def make_function(
    implementation: Callable[..., Any], *, kind: Kind, access: Access, summary: str, unit: str = ""
) -> Function:
    """The declaration of `implementation(product, …)`.

    Every parameter after the first needs a type, as does the result. Raises `Misuse`.
    """
    name = implementation.__name__
    if not _NAME.fullmatch(name) or not summary:
        raise Misuse(f"the function {name!r} needs a plain name and a summary")
    hints = typing.get_type_hints(implementation, include_extras=True)
    parameters = list(inspect.signature(implementation).parameters.values())[1:]
    if "return" not in hints or any(p.name not in hints for p in parameters):
        raise Misuse(f"{name}: every argument and the result need a type")
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        (p.name, hints[p.name])
        if p.default is inspect.Parameter.empty
        else (p.name, hints[p.name], p.default)
        for p in parameters
    ]
    arguments = msgspec.defstruct(
        f"{name}_arguments", fields, kw_only=True, frozen=True, forbid_unknown_fields=True
    )
    return Function(
        name=name,
        kind=kind,
        access=access,
        summary=summary,
        unit=unit,
        implementation=implementation,
        arguments=arguments,
        result=hints["return"],
    )


def declare(function: Function) -> Declaration:
    """What others may know of `function`."""
    return Declaration(
        name=function.name,
        kind=function.kind,
        access=function.access,
        summary=function.summary,
        arguments=schema_of(function.arguments),
        result=schema_of(function.result),
        unit=function.unit,
    )


def schema_of(kind: Any) -> dict[str, Any]:
    """The JSON Schema of `kind` without references, so that it can stand inside any document.

    Raises `Misuse` for a type that JSON cannot hold or that contains itself.
    """
    try:
        schema = msgspec.json.schema(kind)
    except TypeError as error:
        raise Misuse(f"not a type for JSON: {kind}: {error}") from error
    definitions = schema.pop("$defs", {})
    inlined = _inlined(schema, definitions, SCHEMA_DEPTH)
    inlined.pop("title", None) if isinstance(inlined, dict) else None
    return typing.cast("dict[str, Any]", inlined)


def _inlined(node: Any, definitions: dict[str, Any], depth: int) -> Any:
    if depth < 0:
        raise Misuse("a type of a function's argument or result contains itself")
    if isinstance(node, list):
        return [_inlined(part, definitions, depth) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = str(node["$ref"]).rsplit("/", 1)[-1]
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return _inlined({**definitions[name], **rest}, definitions, depth - 1)
    return {key: _inlined(value, definitions, depth) for key, value in node.items()}
