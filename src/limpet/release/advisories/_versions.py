"""How versions of each ecosystem are ordered (univers), behind one door.

Owns which orders there are. A text that is no version of its ecosystem is `Rejected`, never
guessed at: univers strips a leading "v", spaces, and fills semantic versions up, so what reaches
it is held to the ecosystem's grammar first (docs/adr/0152).
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from univers import nuget, versions

from limpet.errors import Rejected

__all__ = ["SEMVER", "Ordered", "Parse", "has_order", "make_parser"]

SEMVER = "SEMVER"
"""The order of OSV's ranges of this type, in whichever ecosystem."""

MAX_LENGTH = 200  # characters; also bounds the integers in it
_REMEMBERED = 65_536  # parsed versions of one parser

_PRINTABLE = re.compile(r"[!-~]+", re.ASCII)
# The grammar of SemVer 2.0.0; minor and patch may be missing in records that people write.
_SEMVER = re.compile(
    r"(?P<core>(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){0,2})"
    r"(?P<pre>-(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_LIBRARY_ERRORS = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    nuget.InvalidNuGetVersion,  # a child of Exception itself
)


class Ordered(Protocol):
    """A version: only `<` and `==` are to be used, and only among those of one parser."""

    def __lt__(self, other: Any, /) -> bool: ...


Parse = Callable[[str], Ordered]


def _semver(text: str) -> Ordered:
    found = _SEMVER.fullmatch(text)
    if not found:
        raise ValueError("no semantic version")
    core = found["core"] + ".0" * (2 - found["core"].count("."))
    return _order(versions.SemverVersion)(core + (found["pre"] or ""))


def _order(of: type[versions.Version]) -> Callable[[str], Ordered]:
    make: Callable[[str], Ordered] = of
    return make


_ORDERS: Mapping[str, Callable[[str], Ordered]] = {
    SEMVER: _semver,
    "PyPI": _order(versions.PypiVersion),
    "Debian": _order(versions.DebianVersion),
    "Ubuntu": _order(versions.DebianVersion),
    "Alpine": _order(versions.AlpineLinuxVersion),
    "npm": _semver,
    "crates.io": _semver,
    "Go": _semver,
    "Maven": _order(versions.MavenVersion),
    "NuGet": _order(versions.NugetVersion),
    "RubyGems": _order(versions.RubygemsVersion),
}


def has_order(ecosystem: str) -> bool:
    """Whether versions of `ecosystem` (without its release) can be compared."""
    return ecosystem in _ORDERS


def make_parser(ecosystem: str) -> Parse:
    """A parser that remembers what it has parsed, of a bounded number.

    It raises `Rejected("bad-version")` for what is no version of `ecosystem`. What it returns can
    be compared with all else that it returns.
    """
    order = _ORDERS[ecosystem]

    @lru_cache(maxsize=_REMEMBERED)
    def parse(text: str) -> Ordered:
        if len(text) > MAX_LENGTH or not _PRINTABLE.fullmatch(text):
            raise Rejected("bad-version", f"{text[:40]!r} is no version of {ecosystem}")
        try:
            parsed = order(text)
            parsed < parsed  # noqa: B015 - some only find out when they compare
        except _LIBRARY_ERRORS as error:
            raise Rejected("bad-version", f"{text!r} is no version of {ecosystem}") from error
        return parsed

    return parse
