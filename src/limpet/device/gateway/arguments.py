"""A reading's arguments: from a URL's query to the JSON object that the app checks.

Owns which query parameters a reading has, for the dispatcher and for the OpenAPI
document alike; both come from the app's declaration. The values' types and ranges are
the app's to check. Pure.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from limpet.device.gateway.bodies import FunctionBody
from limpet.errors import Rejected

__all__ = ["VALUE_CHARACTERS", "describe_query", "read_query"]

VALUE_CHARACTERS = 1024
"""Longest value of one query parameter."""

_PLAIN = frozenset({"string", "number", "integer", "boolean", "null"})


def read_query(function: FunctionBody, query: Mapping[str, str]) -> bytes:
    """The JSON object of the arguments: plain values as text, lists and objects from JSON text.

    `query` has each name once (the server refuses a repeated one). Raises
    `Rejected("bad-arguments")` with the parameter's name.
    """
    if function.kind == "action":
        if query:
            raise Rejected("bad-arguments", "an action takes its arguments in the body")
        return b"{}"
    known: Mapping[str, Any] = function.arguments.get("properties", {})
    arguments: dict[str, str | msgspec.Raw] = {}
    for name, text in query.items():
        if name not in known:
            allowed = ", ".join(known) or "none"
            raise Rejected("bad-arguments", f"no parameter {name[:64]!r} here; known: {allowed}")
        if len(text) > VALUE_CHARACTERS:
            raise Rejected("bad-arguments", f"{name}: at most {VALUE_CHARACTERS} characters")
        arguments[name] = text if _is_plain(known[name]) else _parsed(name, text)
    return msgspec.json.encode(arguments)


def describe_query(function: FunctionBody) -> list[dict[str, Any]]:
    """The OpenAPI 3.1 parameters of a reading, in the order of its declaration."""
    required = function.arguments.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in required,
            **(
                {"schema": schema}
                if _is_plain(schema)
                else {"content": {"application/json": {"schema": schema}}}
            ),
        }
        for name, schema in function.arguments.get("properties", {}).items()
    ]


def _is_plain(schema: Mapping[str, Any]) -> bool:
    """Whether a value of this JSON Schema is written as text, without JSON's quotes."""
    if "anyOf" in schema:
        return all(_is_plain(one) for one in schema["anyOf"])
    return schema.get("type", "string") in _PLAIN


def _parsed(name: str, text: str) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(text)))
    except (msgspec.DecodeError, RecursionError) as error:
        raise Rejected("bad-arguments", f"{name}: write it as JSON: {error}") from error
