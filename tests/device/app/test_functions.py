"""Declarations and dispatch: who may call what with which arguments, and what comes back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.device.app.conftest import make_app

from limpet.device.app import Access, App, Device, Kind, Rejected
from limpet.device.app._declarations import Declaration
from limpet.device.app._instance import _parse_arguments
from limpet.device.app.testing import Simulator
from limpet.errors import Misuse

Lamp = Simulator[Any]


def reason_of(lamp: Lamp, name: str, access: Access, arguments: bytes) -> str:
    with pytest.raises(Rejected) as refused:
        lamp.instance.call(name, access, arguments)
    return refused.value.reason


def test_a_declaration_carries_schemas_that_stand_alone(lamp: Lamp) -> None:
    declarations = {d.name: d for d in lamp.app.declarations()}
    level = declarations["level"]
    assert (level.kind, level.access, level.unit) == (Kind.READING, Access.VIEWER, "%")
    assert level.arguments["properties"]["scale"]["maximum"] == 10
    assert level.arguments["additionalProperties"] is False
    assert level.result["properties"]["percent"]["maximum"] == 100
    assert declarations["set_level"].arguments["required"] == ["percent"]
    encoded = msgspec.json.encode(lamp.app.declarations())
    assert b"$ref" not in encoded
    assert msgspec.json.decode(encoded, type=list[Declaration]) == list(lamp.app.declarations())


def test_a_call_gets_its_result_as_json(lamp: Lamp) -> None:
    assert lamp.call("level", scale=2) == {"percent": 100, "since": "2026-01-01T00:00:00Z"}
    assert lamp.instance.call("set_level", Access.MEMBER, b'{"percent": 7}') == b"7"


@pytest.mark.parametrize(
    ("access", "name"),
    [(Access.PUBLIC, "level"), (Access.VIEWER, "set_level"), (Access.MEMBER, "service")],
)
def test_a_caller_below_the_declared_access_is_refused(
    lamp: Lamp, access: Access, name: str
) -> None:
    assert reason_of(lamp, name, access, b'{"percent": 7}') == "forbidden"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (b'{"percent": 101}', "percent:"),
        (b'{"percent": "7"}', "percent:"),
        (b'{"percent": 7.5}', "percent:"),
        (b'{"percent": true}', "percent:"),
        (b"{}", "`percent`"),
        (b'{"percent": 1, "colour": "red"}', "`colour`"),
        (b"[]", "object"),
        (b"{", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 5000, ""),
    ],
)
def test_bad_arguments_are_refused_and_the_field_is_named(
    lamp: Lamp, arguments: bytes, field: str
) -> None:
    with pytest.raises(Rejected) as refused:
        lamp.instance.call("set_level", Access.OWNER, arguments)
    assert refused.value.reason == "bad-arguments"
    assert field.lower() in refused.value.message.lower()


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps({"percent": value}).encode()
    )
)
def test_no_arguments_whatever_raise_anything_but_a_refusal(arguments: bytes) -> None:
    try:
        parsed = _parse_arguments(make_app().functions["set_level"], arguments)
    except Rejected as refused:
        reason, percent = refused.reason, 0
    else:
        reason, percent = "", parsed["percent"]
    assert reason in ("", "bad-arguments")
    assert 0 <= percent <= 100


def test_a_readings_number_may_be_text_as_in_a_query_string(lamp: Lamp) -> None:
    assert lamp.call("level", scale="2")["percent"] == 100
    with pytest.raises(Rejected):
        lamp.call("level", scale="20")


def test_an_unknown_function_is_refused(lamp: Lamp) -> None:
    assert reason_of(lamp, "__init__", Access.OWNER, b"{}") == "unknown-function"
    assert reason_of(lamp, "glow", Access.OWNER, b"{}") == "unknown-function"


def test_a_function_that_raises_is_an_app_error_whose_detail_goes_to_the_log_only(
    lamp: Lamp,
) -> None:
    with pytest.raises(Rejected) as refused:
        lamp.call("set_level", percent=1, note="crash")
    assert refused.value.reason == "app-error"
    assert "secret" not in refused.value.message
    ((event, detail, level),) = lamp.log
    assert (event, level) == ("app-error", "error")
    assert "ZeroDivisionError" in detail


def test_a_refusal_of_the_product_keeps_its_own_reason(lamp: Lamp) -> None:
    with pytest.raises(Rejected, match="not at night") as refused:
        lamp.call("set_level", percent=1, note="refuse")
    assert refused.value.reason == "too-bright"


def test_a_result_that_is_too_large_is_an_app_error(lamp: Lamp) -> None:
    assert reason_of(lamp, "service", Access.OWNER, b"{}") == "app-error"


def test_a_function_cannot_be_declared_for_the_public() -> None:
    app: App[object] = App(lambda device: object())
    with pytest.raises(Misuse, match="above public"):
        app.reading(summary="Everything", access=Access.PUBLIC)


def test_a_function_without_types_cannot_be_declared() -> None:
    app: App[object] = App(lambda device: object())

    def untyped(product, value):  # type: ignore[no-untyped-def]
        return value

    with pytest.raises(Misuse, match="need a type"):
        app.action(summary="Anything")(untyped)


def test_two_functions_of_one_name_cannot_be_declared() -> None:
    app: App[object] = App(lambda device: object())

    @app.reading(summary="One")
    def twice(product: object) -> int:
        return 1

    with pytest.raises(Misuse, match="declared twice"):
        app.reading(summary="Two")(twice)


class _Node(msgspec.Struct):
    next: "_Node | None"


@dataclass
class _Opaque:
    value: complex


@pytest.mark.parametrize("result", [_Node, _Opaque])
def test_a_type_that_json_cannot_describe_alone_is_refused_when_declarations_are_made(
    result: type, tmp_path: Path
) -> None:
    app: App[Device] = App(lambda device: device)

    def odd(product: Device) -> Any:
        return None

    odd.__annotations__["return"] = result
    app.reading(summary="Odd")(odd)
    with pytest.raises(Misuse):
        app.declarations()
