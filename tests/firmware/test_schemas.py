"""When one schema takes all that another takes: the rules against a validator."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.firmware._schemas import Comparison

_LEAF = st.one_of(
    st.sampled_from([True, {}, {"type": "null"}, {"type": "boolean"}, {"type": "string"}]),
    st.builds(lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
              st.integers(-3, 3), st.integers(0, 3)),
    st.builds(lambda values: {"enum": values}, st.lists(st.sampled_from("abc"), min_size=1)),
    st.builds(lambda low: {"type": "number", "minimum": low}, st.integers(-3, 3)),
)  # fmt: skip
_NAMES = st.sampled_from("xyz")


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.builds(lambda one: {"type": "array", "items": one}, inner),
        st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(
            lambda fields, needed, closed: {
                "type": "object",
                "properties": fields,
                "required": sorted(needed),
                **({"additionalProperties": False} if closed else {}),
            },
            st.dictionaries(_NAMES, inner, max_size=3),
            st.sets(_NAMES, max_size=2),
            st.booleans(),
        ),
    )


SCHEMAS = st.recursive(_LEAF, _grown, max_leaves=6)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-4, 7), st.just(0.5), st.sampled_from("abcd")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_NAMES, inner, max_size=3)
    ),
    max_leaves=6,
)


def is_valid(schema: Any, value: Any) -> bool:
    """JSON Schema 2020-12, as far as `SCHEMAS` uses it; written without regard to the rules."""
    if isinstance(schema, bool):
        return schema
    if "anyOf" in schema:
        return any(is_valid(one, value) for one in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    kinds = {
        "null": value is None,
        "boolean": isinstance(value, bool),
        "string": isinstance(value, str),
        "integer": number and int(value) == value,
        "number": number,
        "array": isinstance(value, list),
        "object": isinstance(value, dict),
    }
    if "type" in schema and not kinds[schema["type"]]:
        return False
    if number and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        return False
    if kinds["array"]:
        return all(is_valid(schema.get("items", True), one) for one in value)
    if kinds["object"]:
        fields = schema.get("properties", {})
        if any(name not in value for name in schema.get("required", ())):
            return False
        others = schema.get("additionalProperties", True)
        return all(is_valid(fields.get(name, others), one) for name, one in value.items())
    return True


@settings(max_examples=600, deadline=None)
@given(SCHEMAS, SCHEMAS, st.lists(VALUES, min_size=1, max_size=12))
def test_what_is_called_compatible_takes_every_value_that_was_taken(
    outer: Any, inner: Any, values: list[Any]
) -> None:
    comparison = Comparison({}, {}, extra_fields_are_ignored=False)
    if list(comparison.differences(outer, inner)):
        return
    for value in values:
        assert is_valid(outer, value) or not is_valid(inner, value), value


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, st.booleans())
def test_nothing_differs_from_itself(schema: Any, ignored: bool) -> None:
    comparison = Comparison({}, {}, extra_fields_are_ignored=ignored)
    assert list(comparison.differences(schema, copy.deepcopy(schema))) == []
