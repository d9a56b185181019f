"""Which line of a TOML document a key stands on.

The standard parser gives values without lines. This one gives lines without
values: it walks the same text once, in linear time, and notes where each key,
table and array entry begins. It never judges: where the text is not TOML it
stops and keeps what it found, since the real parser refuses that text at the
same place. The one thing it refuses is nesting beyond `MAX_DEPTH`, and it
must run before the real parser, whose time grows with the square of the depth.
"""

import contextlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ._problem import Path

__all__ = ["MAX_DEPTH", "Locations", "TooDeep", "locate"]

MAX_DEPTH = 8
"""Keys and array positions from the root to any value."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"""(?:"{1,2})?'
    r"|'''(?:[^']|'(?!''))*'''(?:'{1,2})?"
    r'|"(?:[^"\\\n]|\\[^\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


class TooDeep(Exception):
    """The document nests deeper than `MAX_DEPTH`; `line` is where."""

    def __init__(self, line: int) -> None:
        super().__init__(f"nested deeper than {MAX_DEPTH} at line {line}")
        self.line = line


class _NotToml(Exception):
    """The walk met something that it cannot follow."""


@dataclass(frozen=True, slots=True)
class Locations:
    """The line of each path, counted from 1."""

    lines: Mapping[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing that encloses it, or 1."""
        for end in range(len(path), 0, -1):
            line = self.lines.get(path[:end])
            if line is not None:
                return line
        return 1


def locate(text: str) -> Locations:
    """Where each key of `text` stands; of a broken text, what precedes the break.

    Raises `TooDeep` where a path would be longer than `MAX_DEPTH`.
    """
    walk = _Walk(text.replace("\r\n", "\n"))
    with contextlib.suppress(_NotToml):
        walk.document()
    return Locations(MappingProxyType(walk.lines))


class _Walk:
    """One pass over a text. `lines` grows as keys are met."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Path, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._explicit: set[Path] = set()
        self._entries: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self._skip(_SPACE) < len(self._text):
            if self._text.startswith("[[", self._at):
                table = self._header("[[", "]]")
            elif self._text.startswith("[", self._at):
                table = self._header("[", "]")
            else:
                self._pair(table)
            self._end_of_line()

    def _header(self, opening: str, closing: str) -> Path:
        line = self._line_here()
        self._at += len(opening)
        parts = self._key()
        self._expect(closing)
        path: Path = ()
        for part in parts[:-1]:
            path = self._enter((*path, part), line)
        path = self._bounded((*path, parts[-1]))
        if opening == "[[":
            self.lines.setdefault(path, line)
            path = self._bounded((*path, self._entries.setdefault(path, 0)))
            self._entries[path[:-1]] += 1
        if path not in self._explicit:
            self._explicit.add(path)
            self.lines[path] = line
        return path

    def _enter(self, path: Path, line: int) -> Path:
        """Go into the table at `path`: an array of tables means its last entry."""
        self.lines.setdefault(self._bounded(path), line)
        count = self._entries.get(path)
        return path if count is None else self._bounded((*path, count - 1))

    def _pair(self, table: Path) -> None:
        line = self._line_here()
        path = table
        for part in self._key():
            path = self._bounded((*path, part))
            self.lines.setdefault(path, line)
        self._expect("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        first = self._text[self._at : self._at + 1]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        else:
            pattern = _STRING if first in ("'", '"') else _SCALAR
            self._take(pattern)

    def _array(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self._skip(_SPACE) < len(self._text) and not self._accept("]"):
            entry = self._bounded((*path, index))
            self.lines[entry] = self._line_here()
            self._value(entry)
            index += 1
            self._skip(_SPACE)
            if not self._accept(","):
                self._expect("]")
                return

    def _inline_table(self, path: Path) -> None:
        self._at += 1
        while self._skip(_SPACE) < len(self._text) and not self._accept("}"):
            self._pair(path)
            self._skip(_SPACE)
            if not self._accept(","):
                self._expect("}")
                return

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            if len(parts) == MAX_DEPTH:
                raise TooDeep(self._line_here())
            if self._text[self._at : self._at + 1] in ("'", '"'):
                parts.append(_unquoted(self._take(_STRING)))
            else:
                parts.append(self._take(_BARE_KEY))
            self._skip(_BLANK)
            if not self._accept("."):
                return parts

    def _end_of_line(self) -> None:
        self._skip(_BLANK)
        if self._at < len(self._text) and self._text[self._at] not in "#\n":
            raise _NotToml

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _NotToml
        self._at = found.end()
        return found.group()

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def _accept(self, token: str) -> bool:
        if self._text.startswith(token, self._at):
            self._at += len(token)
            return True
        return False

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise _NotToml

    def _bounded(self, path: Path) -> Path:
        if len(path) > MAX_DEPTH:
            raise TooDeep(self._line_here())
        return path

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line


def _unquoted(raw: str) -> str:
    """The key that a quoted key spells, as the real parser reads it."""
    if "\\" not in raw and raw[:3] not in ('"""', "'''"):
        return raw[1:-1]
    try:
        return str(tomllib.loads(f"key = {raw}")["key"])
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise _NotToml from error
