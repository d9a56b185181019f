"""What is wrong with a design file, where, and what to do about it.

Owns the form of a problem and how a key is written for a person. Must never
print a character that could steer a terminal: keys come from the file.
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

__all__ = ["MAX_SHOWN", "Finding", "Nearest", "Path", "Problem", "Severity", "quote", "show_key"]

Path = tuple[str | int, ...]
"""A place in the document: table keys, and the positions in its arrays."""

MAX_SHOWN = 60
"""Characters of a foreign word that a message repeats."""

_BARE = re.compile(r"\A[A-Za-z0-9_-]+\Z")


class Severity(StrEnum):
    """An `error` stops the product from being loaded; a `warning` and a `note` do not.

    A `note` is no fault of the design: it has to be mended before a customer gets a device.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Nearest(msgspec.Struct, frozen=True):
    """A hint that offers the known word most like `word`, or says `otherwise`.

    Worked out only for problems that are shown: the search is slow, and a
    hostile file can hold tens of thousands of wrong words.
    """

    word: str
    known: tuple[str, ...]
    otherwise: str = ""

    def text(self) -> str:
        """The hint as words."""
        from difflib import get_close_matches  # only for a mistake

        close = get_close_matches(self.word[:MAX_SHOWN], self.known, n=1)
        return f"did you mean {quote(close[0])}?" if close else self.otherwise


class Finding(msgspec.Struct, frozen=True):
    """A problem as the reader and the rules see it: by path, not yet by line."""

    path: Path
    message: str
    hint: str | Nearest = ""
    severity: Severity = Severity.ERROR


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong in a design file.

    `line` counts from 1; `key` is the dotted key as a person would say it
    (`threats.eavesdropping.measures`), or empty where the file is not TOML.
    """

    line: int
    key: str
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def text(self, file: str) -> str:
        """The one line `file:line: key: message`, without the hint."""
        mild = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        key = f"{self.key}: " if self.key else ""
        return f"{file}:{self.line}: {mild}{key}{self.message}"


def quote(word: str) -> str:
    """`word` in double quotes, cut to `MAX_SHOWN`, all but printable ASCII escaped."""
    cut = word if len(word) <= MAX_SHOWN else word[:MAX_SHOWN] + "..."
    return json.dumps(cut).replace("\x7f", "\\u007f")


def show_key(tree: object, path: Path) -> str:
    """`path` as a dotted key.

    A table within an array goes by its `id` where it has one, else by its
    position; a plain value within an array by the array alone.
    """
    shown = ""
    node = tree
    for part in path:
        if isinstance(part, int):
            node = node[part] if isinstance(node, list) and part < len(node) else None
            name = node.get("id") if isinstance(node, Mapping) else None
            if isinstance(name, str):
                shown += f".{_word(name)}"
            elif isinstance(node, Mapping):
                shown += f"[{part}]"
        else:
            node = node.get(part) if isinstance(node, Mapping) else None
            shown += f".{_word(part)}" if shown else _word(part)
    return shown


def _word(part: str) -> str:
    return part if _BARE.match(part) and len(part) <= MAX_SHOWN else quote(part)
