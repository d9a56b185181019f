"""A firmware's network interface: its OpenAPI document, signed with it, and what a new one breaks.

Owns the form in which the document travels and the rules of comparison. Pure and bounded. The same
function judges for the release manager (before signing) and for the device (before installing),
so neither has to trust the number that somebody chose (draft-moore, 2.4.3).

Breaking, for whoever used the old interface:

- a path, method, answer or media type that is gone, and another access level, either way;
- a parameter or field of a request that is gone (a device refuses what it does not know), that
  is required now, that means another value where it is left out, or that takes less: type,
  enumeration, range, length, pattern;
- a field of an answer that is gone or no longer sure to be there, or that may be more than
  before: a type, a value of an enumeration, a range; another unit; a header that is gone;
- another server, or another way to show who one is.

Compatible: what is added and can be left out or ignored, texts, and whatever becomes wider in
requests or narrower in answers.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from limpet.errors import Rejected

from ._schemas import Comparison

__all__ = [
    "INTERFACE_BYTES",
    "INTERFACE_FILE",
    "Change",
    "Interface",
    "compare_interfaces",
    "describe_changes",
    "pack_interface",
    "read_interface",
    "unpack_interface",
]

INTERFACE_FILE = "interface.json"
"""In a firmware tree; the very document is also in the release's manifest, packed."""

INTERFACE_BYTES = 1 << 20
PACKED_BYTES = 128 << 10
MAX_CHANGES = 200
_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})
_SHARED = ("security", "servers")
_MAX_REFERENCES = 8
_SHOWN = 3
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, for a person: "removed GET /v1/functions/history"."""

    text: str
    breaking: bool


@dataclass(frozen=True, slots=True)
class Interface:
    """A parsed document. Only `read_interface` makes one."""

    operations: Mapping[str, Mapping[str, Any]]  # by "GET /v1/…"; with the parameters of its path
    components: Mapping[str, Mapping[str, Any]]  # by kind and name
    shared: Mapping[str, Any]  # what holds for all operations

    @property
    def schemas(self) -> Mapping[str, Any]:
        """The named schemas of values."""
        return self.components.get("schemas", {})

    def resolved(self, node: Any) -> Any:
        """`node`, or the component that it refers to."""
        for _ in range(_MAX_REFERENCES):
            name = node.get("$ref") if isinstance(node, Mapping) else None
            if not isinstance(name, str):
                break
            kind, _, key = name.removeprefix("#/components/").partition("/")
            node = self.components.get(kind, {}).get(key, {})
        return node


def read_interface(document: bytes) -> Interface:
    """The interface in an OpenAPI document. Raises `Rejected("malformed" | "too-large")`."""
    if len(document) > INTERFACE_BYTES:
        raise Rejected("too-large", f"an interface of {len(document)} bytes")
    try:
        found = msgspec.json.decode(document, type=dict[str, Any])
        paths = msgspec.convert(found.get("paths"), dict[str, dict[str, Any]])
        components = msgspec.convert(found.get("components", {}), dict[str, dict[str, Any]])
        operations = {
            f"{method.upper()} {path}": _operation(operation, item.get("parameters", []))
            for path, item in paths.items()
            for method, operation in item.items()
            if method in _METHODS
        }
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("malformed", f"not an interface: {error}") from error
    return Interface(operations, components, {word: found.get(word) for word in _SHARED})


def _operation(found: Any, of_path: Any) -> dict[str, Any]:
    operation = msgspec.convert(found, dict[str, Any])
    outer = msgspec.convert(of_path, list[dict[str, Any]])
    if not outer:
        return operation
    own = msgspec.convert(operation.get("parameters", []), list[dict[str, Any]])
    named = {(one.get("in"), one.get("name")) for one in own}
    kept = [one for one in outer if (one.get("in"), one.get("name")) not in named]
    return {**operation, "parameters": [*kept, *own]}


def pack_interface(document: bytes) -> bytes:
    """`document` as a manifest carries it: the same bytes for the same document.

    Raises `Rejected("malformed" | "too-large")`.
    """
    read_interface(document)
    packed = zlib.compress(document, 9)
    if len(packed) > PACKED_BYTES:
        raise Rejected("too-large", f"an interface of {len(packed)} packed bytes")
    return packed


def unpack_interface(packed: bytes) -> bytes:
    """The document in a manifest's bytes. Raises `Rejected("malformed" | "too-large")`.

    Never unpacks more than `INTERFACE_BYTES`, whatever the bytes promise.
    """
    if len(packed) > PACKED_BYTES:
        raise Rejected("too-large", f"an interface of {len(packed)} packed bytes")
    unpacking = zlib.decompressobj()
    try:
        document = unpacking.decompress(packed, INTERFACE_BYTES + 1)
    except zlib.error as error:
        raise Rejected("malformed", f"not a packed interface: {error}") from error
    if len(document) > INTERFACE_BYTES:
        raise Rejected("too-large", "an interface that unpacks to more than a megabyte")
    if not unpacking.eof or unpacking.unused_data:
        raise Rejected("malformed", "not a packed interface: it is cut, or something follows")
    return document


def compare_interfaces(old: Interface, new: Interface) -> tuple[Change, ...]:
    """What `new` changes for users of `old`, breaking changes first; at most `MAX_CHANGES`.

    Raises `Rejected("malformed" | "too-large")` for documents that cannot be compared.
    """
    try:
        found = list(_changes(old, new))
    except (AttributeError, TypeError, KeyError, ValueError, RecursionError) as error:
        # Keywords of JSON Schema with values of other types; what the rules read, they check so.
        raise Rejected("malformed", f"not an interface: {type(error).__name__}") from error
    found.sort(key=lambda change: (not change.breaking, change.text))
    return tuple(found[:MAX_CHANGES])


def describe_changes(changes: tuple[Change, ...]) -> str:
    """The breaking ones in a line for an owner; empty if there is none."""
    broken = [change.text for change in changes if change.breaking]
    shown = "; ".join(broken[:_SHOWN])[:_SHOWN_CHARACTERS]
    more = len(broken) - _SHOWN
    return f"{shown}; and {more} more" if more > 0 else shown


def _changes(old: Interface, new: Interface) -> Iterator[Change]:
    for name in sorted(old.operations.keys() - new.operations.keys()):
        yield Change(f"removed {name}", True)
    for name in sorted(new.operations.keys() - old.operations.keys()):
        yield Change(f"added {name}", False)
    for text in _shared(old, new):
        yield Change(text, True)
    asked = Comparison(new.schemas, old.schemas, extra_fields_are_ignored=False)
    told = Comparison(old.schemas, new.schemas, extra_fields_are_ignored=True)
    for name in sorted(old.operations.keys() & new.operations.keys()):
        sides = _Side(old, old.operations[name]), _Side(new, new.operations[name])
        texts = (
            *_access(sides[0].operation, sides[1].operation),
            *_parameters(*sides, asked),
            *_request(*sides, asked),
            *_answers(*sides, told),
        )
        yield from (Change(f"{name}: {text}", True) for text in texts)


def _shared(old: Interface, new: Interface) -> Iterator[str]:
    for word in _SHARED:
        if old.shared[word] != new.shared[word]:
            yield f"changed {word} of all"
    ways = [side.components.get("securitySchemes", {}) for side in (old, new)]
    for name in sorted(ways[0]):
        if ways[0][name] != ways[1].get(name):
            yield f"changed the way to log in, {name}"


@dataclass(frozen=True, slots=True)
class _Side:
    """One operation, in the document that what it refers to is in."""

    document: Interface
    operation: Mapping[str, Any]

    def get(self, word: str) -> Any:
        return self.document.resolved(self.operation.get(word))

    def each(self, word: str) -> dict[str, Any]:
        found = self.operation.get(word, {})
        return {name: self.document.resolved(one) for name, one in found.items()}

    @property
    def parameters(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        found = map(self.document.resolved, self.operation.get("parameters", ()))
        return {(one["in"], one["name"]): one for one in found}


def _access(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for word, text in (("x-access", "access"), ("security", "security"), ("x-unit", "unit")):
        if old.get(word) != new.get(word):
            shown = f" {old.get(word)} → {new.get(word)}" if word != "security" else ""
            yield f"changed {text}{shown}"


def _parameters(old: _Side, new: _Side, asked: Comparison) -> Iterator[str]:
    before, after = old.parameters, new.parameters
    for key in sorted(before.keys() - after.keys()):
        yield f"removed parameter {key[1]}"
    for key, parameter in sorted(after.items()):
        is_required = parameter.get("required", False)
        if is_required and not before.get(key, {}).get("required", False):
            yield f"needs parameter {key[1]}"
        if key in before:
            if any(parameter.get(word) != before[key].get(word) for word in _WRITTEN):
                yield f"parameter {key[1]} is written otherwise"
            pair = _value_of(parameter), _value_of(before[key])
            if text := asked.changed_default(*pair):
                yield f"parameter {key[1]}: {text}"
            for text in asked.differences(*pair, key[1]):
                yield f"no longer takes {text}"


_WRITTEN = ("style", "explode")


def _value_of(parameter: Mapping[str, Any]) -> Any:
    if "content" in parameter:
        return parameter["content"]["application/json"].get("schema", True)
    return parameter.get("schema", True)


def _request(old: _Side, new: _Side, asked: Comparison) -> Iterator[str]:
    before, after = old.get("requestBody"), new.get("requestBody")
    if after is None:
        if before is not None:
            yield "takes no body any more"
        return
    if after.get("required", False) and not (before or {}).get("required", False):
        yield "needs a body"
    contents = (before or {}).get("content", {})
    for kind in sorted(contents):
        if kind not in after.get("content", {}):
            yield f"no longer takes {kind}"
            continue
        outer = after["content"][kind].get("schema", True)
        for text in asked.differences(outer, contents[kind].get("schema", True)):
            yield f"no longer takes {text}"


def _answers(old: _Side, new: _Side, told: Comparison) -> Iterator[str]:
    after = new.each("responses")
    for status, answer in sorted(old.each("responses").items()):
        if status not in after:
            yield f"no longer answers {status}"
            continue
        for name in sorted(
            answer.get("headers", {}).keys() - after[status].get("headers", {}).keys()
        ):
            yield f"no longer answers the header {name}"
        kinds = after[status].get("content", {})
        for kind, content in sorted(answer.get("content", {}).items()):
            if kind not in kinds:
                yield f"no longer answers {kind}"
                continue
            inner = kinds[kind].get("schema", True)
            for text in told.differences(content.get("schema", True), inner):
                yield f"answers differently: {text}"
