"""A device's lock: which packages of others it carries, each one version, each by hash.

Owns the strict reading of pip's requirements form (PEP 440, PEP 508, pip's hash-checking mode): a
line that names no version, no hash, another place or an option is an error with its number.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from limpet.errors import Rejected
from limpet.storage import read_bounded

__all__ = ["LIMPET_LOCK", "LOCK_FILE", "Lock", "Locked", "load_lock", "parse_lock"]

LOCK_FILE = "device.lock"
"""The name of a product's own lock, beside its design file."""

LIMPET_LOCK = Path(__file__).with_name(LOCK_FILE)
"""What limpet's device runtime needs and no more; made by `locks/renew`."""

LOCK_BYTES = 1 << 20
MAX_LOCKED = 400
MAX_LINE = 64 << 10  # characters, with its continuations

_LINE = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)[ \t]*==[ \t]*"
    r"(?P<version>[A-Za-z0-9.!+_-]{1,60})[ \t]*(?:;(?P<marker>[^#\\]{1,500}?))?"
    r"(?P<hashes>(?:[ \t]+--hash=sha256:[0-9a-f]{64})+)",
    re.ASCII,
)
_UNHASHED = re.compile(r"[A-Za-z0-9._-]+[ \t]*==[ \t]*[^;\s]+[ \t]*(;[^#]*)?", re.ASCII)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})", re.ASCII)
_PLACE = re.compile(r"://|@|^[./\\]|\.whl|\.tar", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """One package of a lock, at the place that messages name."""

    name: str  # normalised (PEP 503)
    version: Version
    marker: Marker | None
    hashes: frozenset[str]  # SHA-256 of its published files, hexadecimal
    place: str  # file and line

    def is_for(self, environment: Mapping[str, str]) -> bool:
        """Whether a device with these markers' values gets it. Raises `Rejected`."""
        try:
            return self.marker is None or self.marker.evaluate(dict(environment))
        except (UndefinedEnvironmentName, InvalidVersion) as error:
            raise Rejected("bad-lock", f"{self.place}: the marker says nothing: {error}") from error


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that was read and is whole."""

    file: str
    packages: tuple[Locked, ...]

    def select(self, environment: Mapping[str, str]) -> dict[str, Locked]:
        """What of it is for such a device, by name. Raises `Rejected("bad-lock")` for two of one
        name."""
        chosen: dict[str, Locked] = {}
        for one in self.packages:
            if one.is_for(environment):
                if one.name in chosen:
                    why = f"{one.place}: {one.name} again, after {chosen[one.name].place}"
                    raise Rejected("bad-lock", why, hint="keep one of the two")
                chosen[one.name] = one
        return chosen


def load_lock(path: Path) -> Lock:
    """The lock in the file `path`. Raises `Unavailable`, and as `parse_lock`."""
    return parse_lock(read_bounded(path, max_bytes=LOCK_BYTES), str(path))


def parse_lock(data: bytes, file: str) -> Lock:
    """The lock that `data` is. Raises `Rejected("bad-lock")` with `file` and the line."""
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Rejected("bad-lock", f"{file}:{line}: not ASCII") from error
    packages = tuple(_parse(line, f"{file}:{number}") for number, line in _lines(text, file))
    if not packages:
        raise Rejected("bad-lock", f"{file} locks nothing")
    if len(packages) > MAX_LOCKED:
        raise Rejected("bad-lock", f"{file} locks more than {MAX_LOCKED} packages")
    return Lock(file, packages)


def _lines(text: str, file: str) -> Iterator[tuple[int, str]]:
    """Logical lines with the number of their first one; no comments, no empty ones."""
    begun, start = "", 0
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if not begun:
            if not line or line.startswith("#"):
                continue
            start = number
        begun = f"{begun} {line.removesuffix(chr(92)).strip()}".strip()
        if len(begun) > MAX_LINE:
            raise Rejected("bad-lock", f"{file}:{start}: the line is too long")
        if not line.endswith("\\"):
            yield start, begun
            begun = ""
    if begun:
        raise Rejected("bad-lock", f"{file}:{start}: the last line goes on, and ends")


def _parse(line: str, place: str) -> Locked:
    found = _LINE.fullmatch(line)
    if found is None:
        raise Rejected("bad-lock", f"{place}: {_what_is_wrong(line)}: {line[:80]!a}", hint=_HINT)
    try:
        marker = Marker(found["marker"].strip()) if found["marker"] else None
        version = Version(found["version"])
    except (InvalidMarker, InvalidVersion) as error:
        message = str(error).splitlines()[0]
        raise Rejected("bad-lock", f"{place}: {message}: {line[:80]!a}", hint=_HINT) from error
    return Locked(
        name=canonicalize_name(found["name"]),
        version=version,
        marker=marker,
        hashes=frozenset(_HASH.findall(found["hashes"])),
        place=place,
    )


_HINT = "each line: name==version and at least one --hash=sha256:…, nothing else"


def _what_is_wrong(line: str) -> str:
    if line.startswith("-"):
        return "an option"
    if _PLACE.search(line.split("--hash")[0].split(";")[0]):
        return "a package by its address"
    if _UNHASHED.fullmatch(line):
        return "no hash"
    return "not pinned to one version by hash"
