"""A document as data: chapters of paragraphs, facts, tables and pictures.

Owns the types that every public page and the PDF are made from, so that the two forms of
the security document cannot say different things. Knows no markup and no product. What a text
says is never markup: whoever writes a form escapes it, and a link leads only where a reader may
be led.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

__all__ = [
    "Block",
    "Chapter",
    "Code",
    "Document",
    "Entry",
    "Facts",
    "Link",
    "Mark",
    "Paragraph",
    "Picture",
    "Run",
    "Table",
    "Text",
    "Tone",
    "join",
    "link",
    "paragraph",
    "plain",
    "text",
]

_TARGET = re.compile(
    r"#[a-z0-9][A-Za-z0-9.-]{0,120}"  # an anchor of the same document
    r"|mailto:[!-~]{1,512}|tel:\+[0-9-]{3,20}|https?://[!-~]{1,2048}"
    r"|\.?[a-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*"  # a file of this site
)


class Tone(StrEnum):
    """How a text is meant."""

    PLAIN = "plain"
    LEAD = "lead"  # what the page says in one sentence
    NOTE = "note"  # beside the matter
    GOOD = "good"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead somewhere: `#anchor`, a file of the site, or an address. See `link`."""

    words: str
    to: str


@dataclass(frozen=True, slots=True)
class Code:
    """A name or a number that is copied letter by letter."""

    words: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word of judgement."""

    words: str
    tone: Tone = Tone.PLAIN


Run: TypeAlias = str | Link | Code | Mark
Text: TypeAlias = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some sentences. What is `screen_only` says nothing on paper."""

    text: Text
    tone: Tone = Tone.PLAIN
    screen_only: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms, and what is so of each."""

    pairs: tuple[tuple[str, Text], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings; the first cell of a row is its heading. `empty` stands for no rows."""

    headings: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    label: str  # what it is a table of, for whoever cannot see it
    empty: str = "There are none."
    anchors: tuple[str, ...] = ()  # of the rows, one each, or none at all
    widths: tuple[int, ...] = ()  # shares of the paper's width; equal ones without


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing, and what it shows in words (WCAG 2.2, 1.1.1)."""

    svg: str
    words: str
    shapes: tuple[object, ...] = ()  # the same drawing for paper, see `limpet.vendor.pages.picture`
    width: float = 0
    height: float = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One of several things of a kind, with a name that others point at."""

    anchor: str
    title: str
    blocks: tuple["Block", ...]
    accepted: bool = False


Block: TypeAlias = Paragraph | Facts | Table | Picture | Entry


@dataclass(frozen=True, slots=True)
class Chapter:
    """A part with a heading."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole page, or a whole paper. Texts before the first chapter are its `opening`."""

    title: str
    opening: tuple[Block, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    contents: bool = False  # with a list of its chapters


def link(words: str, to: str) -> Run:
    """`words` leading to `to`; the words alone where no reader should be led.

    An address from a file of anybody's may have a scheme that runs something.
    """
    return Link(words, to) if _TARGET.fullmatch(to) else words


def text(*runs: Run) -> Text:
    """The runs as a text."""
    return runs


def paragraph(*runs: Run, tone: Tone = Tone.PLAIN) -> Paragraph:
    """The runs as a paragraph."""
    return Paragraph(runs, tone)


def join(texts: tuple[Run, ...] | list[Run], *, none: str = "none") -> Text:
    """The runs with commas between; `none` where there are none."""
    if not texts:
        return (none,)
    found: list[Run] = [texts[0]]
    for one in texts[1:]:
        found += [", ", one]
    return tuple(found)


def plain(runs: Text) -> str:
    """The words alone."""
    return "".join(one if isinstance(one, str) else one.words for one in runs)
