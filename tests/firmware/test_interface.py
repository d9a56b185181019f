"""What a new interface breaks for users of the old one, rule by rule."""

import copy
import zlib
from typing import Any

import msgspec
import pytest

from limpet.errors import Rejected
from limpet.firmware.interface import (
    INTERFACE_BYTES,
    compare_interfaces,
    describe_changes,
    pack_interface,
    read_interface,
    unpack_interface,
)

NUMBER = {"type": "number", "minimum": 5, "maximum": 30}
HOURS = {"name": "hours", "in": "query", "schema": {"type": "integer", "default": 24}}
ROOM = {"$ref": "#/components/schemas/Room"}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Thermostat", "version": "1.0.0"},
    "paths": {
        "/v1/functions/temperature": {
            "get": {
                "x-access": "viewer",
                "x-unit": "°C",
                "security": [{"bearer": []}],
                "summary": "The temperature",
                "parameters": [HOURS],
                "responses": {
                    "200": {
                        "headers": {"ETag": {"schema": {"type": "string"}}},
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Now"}}
                        },
                    },
                    "default": {"$ref": "#/components/responses/problem"},
                },
            }
        },
        "/v1/functions/set_target": {
            "post": {
                "x-access": "member",
                "security": [{"bearer": []}],
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Target"}}
                    },
                },
                "responses": {"200": {"description": "Done"}},
            }
        },
    },
    "components": {
        "schemas": {
            "Now": {
                "type": "object",
                "properties": {
                    "value": NUMBER,
                    "mode": {"enum": ["heat", "off"]},
                    "next": {"anyOf": [{"$ref": "#/components/schemas/Now"}, {"type": "null"}]},
                },
                "required": ["value"],
            },
            "Target": {
                "type": "object",
                "properties": {
                    "degrees": NUMBER,
                    "mode": {"enum": ["heat", "off"], "default": "heat"},
                    "room": {"allOf": [ROOM]},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
                "required": ["degrees"],
                "additionalProperties": False,
            },
            "Room": {"type": "string"},
        },
        "responses": {"problem": {"content": {"application/problem+json": {"schema": {}}}}},
        "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
    },
}
READ = "/v1/functions/temperature"
SET = "/v1/functions/set_target"


def changed(*path: str, to: Any = None, **more: Any) -> dict[str, Any]:
    """The document with the value at `path` replaced; without `to` it is gone."""
    document = copy.deepcopy(DOCUMENT)
    at = document
    for name in path[:-1]:
        at = at[name]
    if to is None:
        del at[path[-1]]
    else:
        at[path[-1]] = to
    return document


def compare(old: Any, new: Any) -> tuple[str, list[str]]:
    """The breaking changes in a line, and the others."""
    changes = compare_interfaces(*(read_interface(msgspec.json.encode(one)) for one in (old, new)))
    return describe_changes(changes), [one.text for one in changes if not one.breaking]


NOW, TARGET = ("components", "schemas", "Now"), ("components", "schemas", "Target")
GET, POST = ("paths", READ, "get"), ("paths", SET, "post")
BREAKING = {
    "a path is gone": (changed("paths", READ), f"removed GET {READ}"),
    "a method is gone": (changed(*GET), f"removed GET {READ}"),
    "an access level": (changed(*GET, "x-access", to="owner"), "access viewer → owner"),
    "open to anybody": (changed(*GET, "security", to=[]), "changed security"),
    "a unit": (changed(*GET, "x-unit", to="°F"), "changed unit °C → °F"),
    "a parameter is gone": (changed(*GET, "parameters", to=[]), "removed parameter hours"),
    "a parameter is needed": (
        changed(*GET, "parameters", to=[{**DOCUMENT["paths"][READ]["get"]["parameters"][0],
                                         "required": True}]),
        "needs parameter hours",
    ),
    "a status is gone": (changed(*GET, "responses", "200"), "no longer answers 200"),
    "an answer's body is gone": (
        changed(*GET, "responses", "200", "content"), "no longer answers application/json",
    ),
    "an answer's field is gone": (changed(*NOW, "properties", "mode"), "mode: gone"),
    "an answer's field is not sure": (changed(*NOW, "required", to=[]), "value: required"),
    "an answer of another type": (
        changed(*NOW, "properties", "value", to={"type": "string"}), "value: type string",
    ),
    "an answer beyond its range": (
        changed(*NOW, "properties", "value", to={**NUMBER, "maximum": 99}), "value: maximum",
    ),
    "an answer of a new word": (
        changed(*NOW, "properties", "mode", to={"enum": ["heat", "off", "cool"]}), "mode: cool",
    ),
    "a body is not taken": (changed(*POST, "requestBody"), "takes no body any more"),
    "a field is needed": (
        changed(*TARGET, "required", to=["degrees", "mode"]), "mode: required",
    ),
    "another default": (
        changed(*TARGET, "properties", "mode", to={"enum": ["heat", "off"], "default": "off"}),
        "mode: left out, it means another value, heat → off",
    ),
    "another default of a parameter": (
        changed(*GET, "parameters", to=[{**HOURS, "schema": {"type": "integer", "default": 48}}]),
        "hours: left out, it means another value, 24 → 48",
    ),
    "a parameter of the path": (
        changed("paths", READ, "parameters", to=[{**HOURS, "name": "unit", "required": True}]),
        "needs parameter unit",
    ),
    "a parameter in another form": (
        changed(*GET, "parameters", to=[{**HOURS, "explode": False}]), "hours is written otherwise",
    ),
    "an answer by reference": (
        changed("components", "responses", "problem", "content"),
        "no longer answers application/problem+json",
    ),
    "a header of an answer": (
        changed(*GET, "responses", "200", "headers"), "no longer answers the header ETag",
    ),
    "a part of all of a field": (
        changed("components", "schemas", "Room", to={"type": "string", "maxLength": 5}),
        "room: maxLength",
    ),
    "another part of all of a field": (
        changed(*TARGET, "properties", "room", to={"allOf": [ROOM, {"minLength": 1}]}),
        "room: allOf",
    ),
    "a bound beside a reference": (
        changed(*POST, "requestBody", "content", "application/json", "schema", "maxProperties",
                to=1),
        "maxProperties",
    ),
    "a bound beside alternatives": (
        changed(*TARGET, "properties", "note", "maxLength", to=5), "note: maxLength",
    ),
    "another way to log in": (
        changed("components", "securitySchemes", "bearer", "scheme", to="basic"),
        "changed the way to log in, bearer",
    ),
    "another way in for all": (changed("security", to=[{"other": []}]), "changed security of all"),
    "another server": (changed("servers", to=[{"url": "/v2"}]), "changed servers of all"),
    "a field is not known any more": (changed(*TARGET, "properties", "mode"), "mode is not taken"),
    "a narrower range": (
        changed(*TARGET, "properties", "degrees", to={**NUMBER, "maximum": 25}), "degrees: maximum",
    ),
    "a range where was none": (
        changed(*GET, "parameters", to=[{**DOCUMENT["paths"][READ]["get"]["parameters"][0],
                                         "schema": {"type": "integer", "minimum": 0}}]),
        "hours: minimum",
    ),
    "fewer words": (
        changed(*TARGET, "properties", "mode", to={"enum": ["heat"]}), "mode: off",
    ),
    "a narrower type": (
        changed(*TARGET, "properties", "degrees", to={**NUMBER, "type": "integer"}), "type number",
    ),
    "a pattern": (
        changed(*TARGET, "properties", "mode", to={"enum": ["heat", "off"], "pattern": "h"}),
        "mode: pattern",
    ),
    "a keyword that nobody here knows": (
        changed(*TARGET, "properties", "mode", to={"enum": ["heat", "off"], "not": {}}),
        "mode: not",
    ),
}  # fmt: skip

FINE = {
    "nothing": DOCUMENT,
    "a new path": changed("paths", "/v1/more", to={"get": {"responses": {}}}),
    "texts and the version": {
        **changed(*GET, "summary", to="How warm it is"), "info": {"title": "T", "version": "2.0.0"},
    },
    "a field that may be left out": changed(
        *TARGET, "properties", to={**DOCUMENT["components"]["schemas"]["Target"]["properties"],
                                   "until": {"type": "string"}}
    ),
    "a field that need not be given any more": changed(*TARGET, "required", to=[]),
    "a wider range": changed(*TARGET, "properties", "degrees", to={"type": "number"}),
    "more words": changed(*TARGET, "properties", "mode", to={"enum": ["heat", "off", "cool"]}),
    "a new field of an answer": changed(
        *NOW, "properties", to={**DOCUMENT["components"]["schemas"]["Now"]["properties"],
                                "humidity": NUMBER}
    ),
    "an answer that is surer": changed(*NOW, "required", to=["value", "mode"]),
    "an answer of fewer words": changed(*NOW, "properties", "mode", to={"enum": ["off"]}),
    "an answer within its range": changed(
        *NOW, "properties", "value", to={**NUMBER, "type": "integer", "minimum": 6}
    ),
    "a parameter that may be left out": changed(
        *GET, "parameters", to=[*DOCUMENT["paths"][READ]["get"]["parameters"],
                                {"name": "days", "in": "query", "schema": {"type": "integer"}}]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_a_user_is_found_and_named(name: str) -> None:
    new, expected = BREAKING[name]
    broken, _ = compare(DOCUMENT, new)
    assert expected in broken


@pytest.mark.parametrize("name", FINE)
def test_what_breaks_nobody_is_no_breaking_change(name: str) -> None:
    broken, added = compare(DOCUMENT, FINE[name])
    assert broken == ""
    assert added == (["added GET /v1/more"] if name == "a new path" else [])


def test_the_way_back_of_a_fine_change_may_break() -> None:
    back = {name: compare(FINE[name], DOCUMENT)[0] for name in FINE}
    assert {name for name, broken in back.items() if not broken} == {
        "nothing",
        "texts and the version",
    }


def test_many_changes_are_told_in_one_bounded_line() -> None:
    old = {"paths": {f"/v1/{n}": {"get": {}} for n in range(500)}}
    broken, _ = compare(old, {"paths": {}})
    assert broken.startswith("removed GET /v1/0; ")
    assert broken.endswith("; and 197 more")
    assert len(broken) < 400


# ---- bytes from outside


def test_a_document_survives_the_manifest_and_a_bomb_does_not_unpack() -> None:
    document = msgspec.json.encode(DOCUMENT)
    assert unpack_interface(pack_interface(document)) == document
    bomb = zlib.compress(b" " * (64 << 20), 9)
    assert len(bomb) < 128 << 10
    for packed, reason in (
        (bomb, "too-large"),
        (b"x" * (129 << 10), "too-large"),
        (pack_interface(document)[:-3], "malformed"),
        (pack_interface(document) + b"x", "malformed"),
        (b"", "malformed"),
        (b"no", "malformed"),
    ):
        with pytest.raises(Rejected) as refused:
            unpack_interface(packed)
        assert refused.value.reason == reason


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"paths": 1}',
        b'{"paths": {"/": 1}}',
        b'{"paths": {"/": {"get": []}}}',
        b'{"paths": {}, "components": []}',
        b"[" * 100_000,
        b" " * (INTERFACE_BYTES + 1),
    ],
)
def test_what_is_no_interface_is_refused(document: bytes) -> None:
    with pytest.raises(Rejected):
        read_interface(document)


def schemas(**named: Any) -> bytes:
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}
    paths = {"/": {"post": {"requestBody": body, "responses": {"200": body}}}}
    return msgspec.json.encode({"paths": paths, "components": {"schemas": named}})


@pytest.mark.parametrize(
    "named",
    [
        {"A": {"$ref": "#/components/schemas/A"}},
        {"A": {"items": {"$ref": "#/components/schemas/A"}}},
        {"A": {"anyOf": [{"$ref": "#/components/schemas/A"}] * 40}},
        {"A": {"anyOf": [{"items": {"anyOf": [{"$ref": "#/components/schemas/A"}] * 9}}] * 9}},
        {"A": {"allOf": [{"$ref": "#/components/schemas/A"}] * 40}},
        {"A": {"allOf": 3}},
        {"A": {"type": {"a": 1}}},
        {"A": {"required": 5}},
        {"A": {"properties": [1]}},
        {"A": {"enum": 3}},
        {"A": 7},
    ],
)
def test_a_schema_within_itself_or_of_nonsense_ends(named: Any) -> None:
    one = read_interface(schemas(**named))
    other = read_interface(schemas(A={"type": "object", "properties": {"x": {"type": "null"}}}))
    for old, new in ((one, one), (one, other), (other, one)):
        try:
            compare_interfaces(old, new)
        except Rejected as refused:
            assert refused.reason in ("malformed", "too-large")  # noqa: PT017
