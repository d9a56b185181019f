"""JUnit's XML, as pytest writes it and as the gate reads it.

Owns the parsing, which is of a file that anybody may have written: no document type, so no
entities and nothing fetched; bounded in bytes, nesting and cases. The commit is in two properties
of a suite, `commit` (the whole id) and `tree` ("clean": nothing was changed beside it).
"""

from dataclasses import dataclass
from enum import StrEnum
from xml.etree.ElementTree import (
    Element,
    ParseError,
    SubElement,
    TreeBuilder,
    XMLParser,
    tostring,
)

from limpet.errors import Rejected

__all__ = ["CLEAN", "RESULT_BYTES", "Case", "Outcome", "Result", "mark_result", "read_result"]

RESULT_BYTES = 64 << 20
MAX_CASES = 200_000
MAX_NESTING = 16
CLEAN = "clean"
_TEXT = 300


class Outcome(StrEnum):
    """What became of a test."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Case:
    """One test that was run, or left out."""

    module: str  # JUnit's classname: "tests.test_claim", or with a class behind it
    name: str  # "test_a_short_code_is_refused[7]"
    outcome: Outcome
    why: str = ""  # it failed or was left out

    @property
    def id(self) -> str:
        """For people: "tests.test_claim::test_a_short_code_is_refused[7]"."""
        return f"{self.module}::{self.name}"


@dataclass(frozen=True, slots=True)
class Result:
    """A run of the product's tests. The properties are empty where a suite does not have them."""

    cases: tuple[Case, ...]
    commits: frozenset[str]  # of every suite; "" for one without
    trees: frozenset[str]
    counted: int  # failures and errors by the suites' own counters

    def find(self, test: str) -> tuple[Case, ...]:
        """The cases of a test by pytest's id, with all its parameters if none are named."""
        path, _, rest = test.partition("::")
        *classes, name = rest.split("::")
        module = ".".join([path.removesuffix(".py").replace("/", "."), *classes])
        return tuple(
            one
            for one in self.cases
            if one.module == module and name and name in (one.name, one.name.partition("[")[0])
        )


def read_result(data: bytes) -> Result:
    """What `data` says. Raises `Rejected("bad-result" | "too-large")`."""
    root = _parse(data)
    suites = [root] if root.tag == "testsuite" else list(root.iter("testsuite"))
    # A suite around others has no cases of its own, and need not repeat their properties.
    inner = [one for one in suites if one.find("testcase") is not None]
    cases = [_case(case) for suite in inner for case in suite.findall("testcase")]
    if len(cases) > MAX_CASES:
        raise Rejected("too-large", f"more than {MAX_CASES} tests")
    return Result(
        tuple(cases),
        frozenset(_property(suite, "commit") for suite in inner),
        frozenset(_property(suite, "tree") for suite in inner),
        sum(_count(suite, word) for suite in suites for word in ("failures", "errors")),
    )


def mark_result(data: bytes, *, commit: str, tree: str) -> bytes:
    """`data` with both properties in each suite, in place of any that were there."""
    root = _parse(data)
    for suite in root.iter("testsuite"):
        properties = suite.find("properties")
        if properties is None:
            properties = Element("properties")
            suite.insert(0, properties)
        for one in list(properties):
            if one.get("name") in ("commit", "tree"):
                properties.remove(one)
        for name, value in (("commit", commit), ("tree", tree)):
            SubElement(properties, "property", name=name, value=value)
    whole: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return whole


class _Doctype(Exception):
    """There is a document type: what entities, and what addresses, come from."""


class _Target(TreeBuilder):
    """Builds the tree as far as it is allowed to grow."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise _Doctype

    def start(self, tag: str, attributes: dict[str, str], /) -> Element:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise Rejected("bad-result", "elements are nested too deep")
        return super().start(tag, attributes)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def _parse(data: bytes) -> Element:
    if len(data) > RESULT_BYTES:
        raise Rejected("too-large", f"a result of {len(data)} bytes")
    # Expat tells of a document type before it reads what is declared in it; nothing is expanded.
    parser = XMLParser(target=_Target())  # noqa: S314
    try:
        parser.feed(data)
        root: Element | None = parser.close()
    except _Doctype as error:
        raise Rejected("bad-result", "it declares a document type or entities") from error
    except (ParseError, ValueError, LookupError) as error:
        raise Rejected("bad-result", f"not XML: {error}") from error
    if root is None or root.tag not in ("testsuites", "testsuite"):
        raise Rejected("bad-result", "not a JUnit result")
    return root


def _case(element: Element) -> Case:
    module, name = element.get("classname", ""), element.get("name", "")
    for tag, outcome in (
        ("failure", Outcome.FAILED),
        ("error", Outcome.ERROR),
        ("skipped", Outcome.SKIPPED),
    ):
        found = element.find(tag)
        if found is not None:
            return Case(_shown(module), _shown(name), outcome, _shown(found.get("message", "")))
    return Case(_shown(module), _shown(name), Outcome.PASSED)


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_TEXT]).strip()


def _property(suite: Element, name: str) -> str:
    named = [one for one in suite.findall("properties/property") if one.get("name") == name]
    return named[0].get("value", "") if len(named) == 1 else ""


def _count(suite: Element, word: str) -> int:
    text = suite.get(word, "0")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 1
