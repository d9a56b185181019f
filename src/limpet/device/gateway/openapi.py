"""The OpenAPI 3.1 document, made from the routes and the product's declarations.

Owns the translation only: what is not in `ROUTES` or declared by the app cannot
appear here, and what is there always does.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from limpet.device.gateway.arguments import describe_query
from limpet.device.gateway.bodies import FunctionBody
from limpet.device.gateway.routes import ROUTES, Operation, Route
from limpet.device.link.messages import Access

__all__ = ["describe_api"]

_REFUSED = {"$ref": "#/components/responses/problem"}


def describe_api(functions: Sequence[FunctionBody], *, title: str, version: str) -> dict[str, Any]:
    """The document for this device: the fixed routes, and one path per function."""
    types = [kind for route in ROUTES for kind in (route.reads, route.answers) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schema_of = iter(schemas)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        reads = next(schema_of) if route.reads is not None else None
        answers = next(schema_of) if route.answers is not None else None
        if route.operation in (Operation.READ_FUNCTION, Operation.CALL_FUNCTION):
            continue  # each function stands with its own types below
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, reads, answers)
    for function in functions:
        paths[f"/v1/functions/{function.name}"] = _function(function)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "responses": {
                "problem": {
                    "description": "Refused (RFC 9457); `reason` is a stable word",
                    "content": {"application/problem+json": {"schema": {"type": "object"}}},
                }
            },
        },
    }


def _operation(route: Route, reads: Any, answers: Any) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": route.operation.value,
        "summary": route.summary,
        "responses": {str(route.status): _answer(answers), "default": _REFUSED},
        **_access(route.access),
    }
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]
    in_query = [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in route.query.items()
    ]
    if in_path or in_query:
        described["parameters"] = in_path + in_query
    if reads is not None:
        described["requestBody"] = _body(reads)
    return described


def _function(function: FunctionBody) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"function-{function.name}",
        "summary": function.summary,
        "responses": {"200": _answer(function.result), "default": _REFUSED},
        **_access(Access[function.access.upper()]),
    }
    if function.unit:
        described["x-unit"] = function.unit
    if function.kind == "reading":
        return {"get": {**described, "parameters": describe_query(function)}}
    return {"post": {**described, "requestBody": _body(function.arguments)}}


def _access(access: Access) -> dict[str, Any]:
    if access is Access.PUBLIC:
        return {"security": [], "x-access": "public"}
    return {"security": [{"bearer": []}], "x-access": access.name.lower()}


def _body(schema: Any) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _answer(schema: Any) -> dict[str, Any]:
    if schema is None:
        return {"description": "Done"}
    return {"description": "Done", "content": {"application/json": {"schema": schema}}}
