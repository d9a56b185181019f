"""The locator against the standard parser: it must agree on every document."""

import contextlib
import datetime
import string
import time
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.product._locator import MAX_DEPTH, TooDeep, locate
from limpet.product._problem import Path

BARE = string.ascii_letters + string.digits + "-_"
DATES = {
    "1979-05-27": datetime.date(1979, 5, 27),
    "1979-05-27 07:32:00Z": datetime.datetime(1979, 5, 27, 7, 32, tzinfo=datetime.UTC),
    "07:32:00": datetime.time(7, 32),
}
NUMBERS = {"0": 0, "-17": -17, "1_000": 1000, "0xFF": 255, "6.5e-3": 6.5e-3, "true": True}


def paths_of(tree: object, path: Path = ()) -> Iterator[Path]:
    parts: Any = ()
    if isinstance(tree, dict):
        parts = tree.items()
    elif isinstance(tree, list):
        parts = enumerate(tree)
    for key, value in parts:
        yield (*path, key)
        yield from paths_of(value, (*path, key))


class Scribe:
    """Writes a TOML document in styles drawn at random, noting the line of each key."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[Path, int] = {}

    def document(self) -> dict[str, Any]:
        tree = self.pairs((), self.draw(st.integers(0, 3)), set())
        for name in self.names(self.draw(st.integers(0, 4)), set(tree)):
            if self.draw(st.booleans()):
                tree[name] = [
                    self.section((name, index), f"[[{self.key(name)}]]")
                    for index in range(self.draw(st.integers(1, 3)))
                ]
                self.lines[(name,)] = self.lines[(name, 0)]
            else:
                tree[name] = self.section((name,), f"[ {self.key(name)} ]")
        return tree

    def section(self, path: Path, header: str) -> dict[str, Any]:
        self.noise()
        self.note(path)
        self.text += header + self.draw(st.sampled_from(["\n", " # [not.this]\n", "\n\n"]))
        table = self.pairs(path, self.draw(st.integers(0, 3)), set())
        if self.draw(st.booleans()):
            inner = self.names(2, set(table))
            outer = self.key(str(path[0]))
            self.note((*path, inner[0]))
            self.note((*path, *inner))
            self.text += f"[{outer} . {self.key(inner[0])}.{self.key(inner[1])}]\n"
            deepest = self.pairs((*path, *inner), self.draw(st.integers(0, 2)), set())
            table[inner[0]] = {inner[1]: deepest}
        return table

    def pairs(self, path: Path, count: int, taken: set[str]) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for name in self.names(count, taken):
            self.noise()
            self.note((*path, name))
            dotted = self.draw(st.booleans()) and len(path) < 5
            inner = self.names(1, set()) if dotted else []
            self.text += " . ".join(self.key(part) for part in (name, *inner)) + " = "
            if inner:
                self.note((*path, name, *inner))
            value = self.value((*path, name, *inner))
            table[name] = {inner[0]: value} if inner else value
            self.text += self.draw(st.sampled_from(["\n", " # = \"''' [x]\n"]))
        return table

    def value(self, path: Path) -> Any:
        kinds = ["string", "plain", "plain"] + ["array", "inline"] * (len(path) < MAX_DEPTH - 1)
        kind = self.draw(st.sampled_from(kinds))
        if kind == "string":
            return self.string()
        if kind == "plain":
            words = self.draw(st.sampled_from([*DATES, *NUMBERS]))
            self.text += words
            return DATES.get(words, NUMBERS.get(words))
        return self.array(path) if kind == "array" else self.inline(path)

    def array(self, path: Path) -> list[Any]:
        entries = []
        self.text += "["
        for index in range(self.draw(st.integers(0, 3))):
            self.text += ", " if index else ""
            self.text += self.draw(st.sampled_from(["", "\n", " # ], x = 1\n\n"]))
            self.note((*path, index))
            entries.append(self.value((*path, index)))
        self.text += self.draw(st.sampled_from(["", ",\n"])) if entries else ""
        self.text += "]"
        return entries

    def inline(self, path: Path) -> dict[str, Any]:
        table = {}
        self.text += "{"
        for name in self.names(self.draw(st.integers(0, 2)), set()):
            self.text += ", " if table else " "
            self.note((*path, name))
            self.text += f"{self.key(name)}="
            table[name] = self.value((*path, name))
        self.text += " }"
        return table

    def string(self) -> str:
        words = self.draw(st.text(st.sampled_from("ab#=[]{}\"'\\\n,.é\U0001f980\t"), max_size=12))
        style = self.draw(st.sampled_from(["basic", "literal", "basic-lines", "literal-lines"]))
        if style == "literal" and not set(words) & set("'\n"):
            self.text += f"'{words}'"
        elif style == "literal-lines" and "'''" not in words and not words.startswith("\n"):
            words = words.rstrip("'") + "''"
            self.text += f"'''\n{words}'''"
        elif style == "basic-lines":
            escaped = words.replace("\\", "\\\\").replace('"', '\\"')
            self.text += f'"""\n{escaped}\\\n   """""'
            words += '""'
        else:
            self.text += self.basic(words)
        return words

    def names(self, count: int, taken: set[str]) -> list[str]:
        text = st.text(BARE, min_size=1, max_size=4) | st.text(
            st.characters(codec="utf-8"), max_size=4
        )
        fresh = text.filter(lambda name: name not in taken)
        return self.draw(st.lists(fresh, min_size=count, max_size=count, unique=True))

    def key(self, name: str) -> str:
        if name and set(name) <= set(BARE) and self.draw(st.booleans()):
            return name
        if name.isprintable() and "'" not in name and self.draw(st.booleans()):
            return f"'{name}'"
        return self.basic(name)

    def basic(self, words: str) -> str:
        escaped = (
            f"\\u{ord(letter):04X}" if ord(letter) < 0x20 or letter in '"\\\x7f' else letter
            for letter in words
        )
        return f'"{"".join(escaped)}"'

    def noise(self) -> None:
        self.text += self.draw(st.sampled_from(["", "", "\n", "# [[x]] \"\"\" '''\n", " \t"]))

    def note(self, path: Path) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[Path, int]]:
    scribe = Scribe(draw)
    tree = scribe.document()
    return scribe.text, tree, scribe.lines


@settings(max_examples=60)
@given(documents(), st.booleans())
def test_every_key_of_any_document_is_on_the_line_where_it_was_written(
    document: tuple[str, dict[str, Any], dict[Path, int]], windows: bool
) -> None:
    text, tree, written = document
    text = text.replace("\n", "\r\n") if windows else text
    assert tomllib.loads(text) == tree
    assert dict(locate(text).lines) == written


@settings(max_examples=500)
@given(st.text(st.sampled_from("ab.=\"'[]{},#\n 1\\\r"), max_size=24))
def test_whatever_the_parser_accepts_the_locator_places_in_full(text: str) -> None:
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        tree = None
    lines = locate(text).lines
    if tree is not None:
        assert set(lines) == set(paths_of(tree))


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_no_text_makes_the_locator_fail(text: str) -> None:
    locate(text)


def test_a_path_that_is_not_there_has_the_line_of_what_encloses_it() -> None:
    found = locate("a = 1\n\n[b]\nc = [\n  1,\n  2,\n]\n")
    assert found.line_of(("b", "c", 1)) == 6
    assert found.line_of(("b", "c", 7)) == 4
    assert found.line_of(("b", "missing")) == 3
    assert found.line_of(("missing",)) == 1


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * (MAX_DEPTH + 1)) + " = 1",
        "[" + ".".join("a" * (MAX_DEPTH + 1)) + "]",
        "a = " + "[" * (MAX_DEPTH + 1),
        "a = " + "{ a = " * (MAX_DEPTH + 1),
        "a = " + "[" * 100_000,
        "a." * 100_000 + "a = 1",
        "[" + "a." * 100_000 + "a]",
    ],
)
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    start = time.process_time()
    with pytest.raises(TooDeep) as refusal:
        locate("\n" + text)
    assert refusal.value.line == 2
    assert time.process_time() - start < 10


@pytest.mark.parametrize(
    "unit", ['"', "'", '"""', "'''", "[", "a=[", "{", "#", "\\", "a='''\n", " "]
)
def test_a_quarter_megabyte_of_anything_takes_seconds_and_not_minutes(unit: str) -> None:
    start = time.process_time()
    with contextlib.suppress(TooDeep):
        locate("a = " + unit * ((256 << 10) // len(unit)))
    assert time.process_time() - start < 10
