"""When does one JSON Schema take all that another takes? As far as OpenAPI 3.1 of devices goes.

Owns the rules for values; `limpet.firmware.interface` has those for operations. Pure, and
conservative: a keyword that it does not know and that differs counts as a difference. Bounded in
steps, so that no document keeps a device busy.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from limpet.errors import Rejected

__all__ = ["Comparison", "Schema"]

Schema = Mapping[str, Any] | bool

MAX_STEPS = 200_000
MAX_DEPTH = 100
_SHOWN_CHARACTERS = 40
_TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_LOWEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_HIGHEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_EXACT = ("pattern", "format", "multipleOf", "contentEncoding", "uniqueItems", "const")
_CHOICES = ("anyOf", "oneOf")
_WORDS = frozenset({"title", "description", "default", "examples", "example", "deprecated"})
_KNOWN = frozenset(
    {"$ref", "allOf", "type", "enum", "required", "properties", "additionalProperties", "items"}
    | {"prefixItems", "discriminator", *_LOWEST, *_HIGHEST, *_EXACT, *_CHOICES, *_WORDS}
)


class Comparison:
    """Compares schemas of two documents; the outer one is the one that should take everything."""

    def __init__(
        self,
        outer: Mapping[str, Any],
        inner: Mapping[str, Any],
        *,
        extra_fields_are_ignored: bool,
    ) -> None:
        """`outer`, `inner`: `components.schemas` of each. In answers a client ignores fields that
        it does not know, and misses each that it knew; in requests a device refuses unknown ones.
        """
        self._components = (outer, inner)
        self._ignored = extra_fields_are_ignored
        self._under_way: set[tuple[str, str]] = set()
        self._steps = 0

    def differences(
        self, outer: Schema, inner: Schema, where: str = "", depth: int = 0
    ) -> Iterator[str]:
        """Why a value that `inner` takes may not be one that `outer` takes; nothing: it is.

        Raises `Rejected("too-large")`.
        """
        self._steps += 1
        if self._steps > MAX_STEPS or depth > MAX_DEPTH:
            raise Rejected("too-large", "the interface is too large or too deep to be compared")
        pair = (_reference(outer), _reference(inner))
        if pair in self._under_way:  # a schema within itself
            return
        outer, inner = self._resolved(outer, 0), self._resolved(inner, 1)
        if outer is True or outer == {} or inner is False:
            return
        if outer is False:
            yield f"{where or 'a value'} is not taken at all"
            return
        entered = all(pair)
        if entered:
            self._under_way.add(pair)
        yield from self._compared(dict(outer), {} if inner is True else dict(inner), where, depth)
        if entered:
            self._under_way.discard(pair)

    def changed_default(self, outer: Schema, inner: Schema) -> str:
        """Whether a value that is left out means something else than before, in words."""
        if not (isinstance(outer, Mapping) and isinstance(inner, Mapping)):
            return ""
        if "default" not in outer or "default" not in inner or outer["default"] == inner["default"]:
            return ""
        shown = (str(side["default"])[:_SHOWN_CHARACTERS] for side in (inner, outer))
        return f"left out, it means another value, {' → '.join(shown)}"

    def _compared(
        self, outer: dict[str, Any], inner: dict[str, Any], where: str, depth: int
    ) -> Iterator[str]:
        choices = _alternatives(outer), _alternatives(inner)
        if choices[0] is not None or choices[1] is not None:
            yield from self._choices(choices[0] or [outer], choices[1] or [inner], where, depth)
            if choices[0] is not None and choices[1] is not None:
                yield from _beside_choices(outer, inner, where or "the value")
            return
        what = where or "the value"
        yield from self._all_of(outer.get("allOf", []), inner.get("allOf", []), where, depth)
        if gone := sorted(_types(inner) - _types(outer)):
            yield f"{what}: type {', '.join(gone)}"
            return
        yield from _constraints(outer, inner, what)
        if "object" in _types(inner):
            yield from self._fields(outer, inner, where, depth)
        if "array" in _types(inner):
            yield from self._elements(outer, inner, where, depth)

    def _all_of(self, outer: list[Any], inner: list[Any], where: str, depth: int) -> Iterator[str]:
        if len(outer) > len(inner):
            yield f"{where or 'the value'}: allOf"
        for pair in zip(outer, inner, strict=False):
            yield from self.differences(*pair, where, depth + 1)

    def _choices(self, outer: list[Any], inner: list[Any], where: str, depth: int) -> Iterator[str]:
        for number, one in enumerate(inner):
            if not any(self._takes(other, one, where, depth) for other in outer):
                yield f"{where or 'the value'}: alternative {number + 1} of {len(inner)}"

    def _takes(self, outer: Schema, inner: Schema, where: str, depth: int) -> bool:
        kept = set(self._under_way)
        taken = next(self.differences(outer, inner, where, depth + 1), None) is None
        self._under_way = kept
        return taken

    def _fields(
        self, outer: dict[str, Any], inner: dict[str, Any], where: str, depth: int
    ) -> Iterator[str]:
        has: tuple[Mapping[str, Any], ...] = (
            outer.get("properties", {}),
            inner.get("properties", {}),
        )
        for name in sorted(set(outer.get("required", ())) - set(inner.get("required", ()))):
            yield f"{_join(where, name)}: required on one side only"
        for name in sorted(has[0].keys() & has[1].keys()):
            pair = has[0][name], has[1][name]
            if not self._ignored and (text := self.changed_default(*pair)):
                yield f"{_join(where, name)}: {text}"
            yield from self.differences(*pair, _join(where, name), depth + 1)
        others = outer.get("additionalProperties", True), inner.get("additionalProperties", True)
        if self._ignored:
            for name in sorted(has[0].keys() - has[1].keys()):
                yield f"{_join(where, name)}: gone"
        else:
            for name in sorted(has[0].keys() ^ has[1].keys()):
                # A name that one side does not know falls under what it says of all others.
                pair = has[0].get(name, others[0]), has[1].get(name, others[1])
                yield from self.differences(*pair, _join(where, name), depth + 1)
        if isinstance(others[0], Mapping) or (not self._ignored and others[0] is False):
            yield from self.differences(others[0], others[1], _join(where, "*"), depth + 1)

    def _elements(
        self, outer: dict[str, Any], inner: dict[str, Any], where: str, depth: int
    ) -> Iterator[str]:
        first = outer.get("prefixItems", []), inner.get("prefixItems", [])
        rest = outer.get("items", True), inner.get("items", True)
        for number in range(max(len(first[0]), len(first[1]))):
            pair = [
                side[number] if number < len(side) else other
                for side, other in zip(first, rest, strict=True)
            ]
            yield from self.differences(pair[0], pair[1], _join(where, str(number)), depth + 1)
        yield from self.differences(rest[0], rest[1], _join(where, "[]"), depth + 1)

    def _resolved(self, schema: Schema, side: int) -> Schema:
        for _ in range(MAX_DEPTH):
            name = _reference(schema)
            if not name or not isinstance(schema, Mapping):
                break
            beside = {word: one for word, one in schema.items() if word != "$ref"}
            schema = self._components[side].get(name.rpartition("/")[2], True)
            if isinstance(schema, Mapping) and beside.keys() - _WORDS:
                schema = {**schema, **beside}
        if not isinstance(schema, Mapping | bool):
            raise Rejected("malformed", "a schema of the interface is neither an object nor a bool")
        return schema


def _constraints(outer: dict[str, Any], inner: dict[str, Any], what: str) -> Iterator[str]:
    """Keywords that hold for a value by itself. A bound counts only where a value can meet it."""
    if "enum" in outer:
        inner_values = [inner["const"]] if "const" in inner else inner.get("enum")
        if inner_values is None:
            yield f"{what}: any value"
        elif gone := [str(value) for value in inner_values if value not in outer["enum"]]:
            yield f"{what}: {', '.join(gone)[:80]}"
    for word in (*_LOWEST, *_HIGHEST):
        bound, kept = outer.get(word), inner.get(word)
        if bound is None or bound == kept:
            continue
        if not (_at_least(kept, bound) if word in _LOWEST else _at_least(bound, kept)):
            yield f"{what}: {word}"
    for word in _EXACT:
        if word in outer and outer[word] != inner.get(word):
            yield f"{what}: {word}"
    for word in sorted(outer.keys() - _KNOWN):
        if not word.startswith("x-") and outer[word] != inner.get(word):
            yield f"{what}: {word}"


def _beside_choices(outer: dict[str, Any], inner: dict[str, Any], what: str) -> Iterator[str]:
    for word in sorted(outer.keys() - _WORDS - {*_CHOICES, "discriminator"}):
        if not word.startswith("x-") and outer[word] != inner.get(word):
            yield f"{what}: {word}"


def _at_least(one: Any, other: Any) -> bool:
    return isinstance(one, int | float) and isinstance(other, int | float) and one >= other


def _types(schema: dict[str, Any]) -> frozenset[str]:
    """The types that a schema takes; a number may be an integer."""
    found = schema.get("type")
    if found is None:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(values, list) and values and all(isinstance(v, str) for v in values):
            return frozenset({"string"})
        return _TYPES
    names = frozenset([found] if isinstance(found, str) else [str(one) for one in found])
    return names | {"integer"} if "number" in names else names


def _alternatives(schema: dict[str, Any]) -> list[Any] | None:
    for word in _CHOICES:
        if isinstance(schema.get(word), list) and schema[word]:
            return list(schema[word])
    return None


def _reference(schema: Schema) -> str:
    found = schema.get("$ref") if isinstance(schema, Mapping) else None
    return found if isinstance(found, str) else ""


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
