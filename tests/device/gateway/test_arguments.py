"""A query as a reading's arguments: what is text, what is JSON, what the document says of it."""

import msgspec
import pytest

from limpet.device.gateway.arguments import describe_query, read_query
from limpet.device.gateway.bodies import FunctionBody
from limpet.errors import Rejected

PROPERTIES = {
    "name": {"type": "string"},
    "limit": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
    "mode": {"enum": ["heat", "frost"]},
    "zones": {"type": "array", "items": {"type": "string"}},
}


def reading(kind: str = "reading") -> FunctionBody:
    return msgspec.convert(
        {
            "name": "find",
            "kind": kind,
            "access": "viewer",
            "summary": "Find",
            "arguments": {"type": "object", "properties": PROPERTIES, "required": ["name"]},
            "result": {},
        },
        FunctionBody,
    )


def test_plain_values_stay_text_whatever_they_look_like() -> None:
    query = {"name": '5"}, {', "limit": "7", "mode": "heat"}
    assert msgspec.json.decode(read_query(reading(), query)) == query


def test_a_list_is_written_as_json() -> None:
    sent = read_query(reading(), {"name": "x", "zones": '["a", "b"]'})
    assert msgspec.json.decode(sent) == {"name": "x", "zones": ["a", "b"]}


@pytest.mark.parametrize("text", ["a", "[", '["a"]}', '["a"], "name": "y"', "[" * 1000])
def test_json_that_is_none_never_reaches_the_app(text: str) -> None:
    with pytest.raises(Rejected, match="zones: write it as JSON"):
        read_query(reading(), {"zones": text})


def test_the_document_says_how_each_parameter_is_written() -> None:
    described = {one["name"]: one for one in describe_query(reading())}
    assert list(described) == list(PROPERTIES)
    assert described["name"]["required"] is True
    assert described["mode"]["schema"] == PROPERTIES["mode"]
    assert described["zones"]["content"] == {"application/json": {"schema": PROPERTIES["zones"]}}
    assert "schema" not in described["zones"]


def test_an_action_has_no_query() -> None:
    assert read_query(reading("action"), {}) == b"{}"
    with pytest.raises(Rejected, match="in the body"):
        read_query(reading("action"), {"name": "x"})
