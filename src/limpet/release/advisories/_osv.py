"""An advisory in OSV's format, of which the fields that matching needs are kept.

Owns the parsing of one record. Unknown fields are left out; a known one of another type makes
the record `Rejected`, because what it says of versions may be lost with it.
"""

import re
from datetime import datetime, timedelta

import msgspec

from limpet.errors import Rejected

from ._names import normalise_name

__all__ = ["Advisory", "Affected", "Event", "Range", "base_of", "parse_record"]

MAX_SKEW = timedelta(days=1)
"""A record further in the future than this is refused: no later one would ever replace it."""

MAX_AFFECTED = 20_000  # entries of one record
_MAX_ID = 200
_MAX_NAME = 1000
_MAX_SUMMARY = 300
_MAX_WORKAROUND = 1000
_MAX_NAMES = 200
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]*", re.ASCII)
_HEADING = re.compile(
    r"^#{1,6}[ \t]*(?:\d+\.[ \t]*)?(?:known |possible )?(?:work-?arounds?|mitigations?)\b[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
_NEXT_HEADING = re.compile(r"^#{1,6}[ \t]", re.MULTILINE)
_NONE_KNOWN = re.compile(
    r"\W*(?:none|n/?a|no|not available|there (?:is|are) (?:currently )?no|we are not aware)\b",
    re.IGNORECASE,
)
# Distributions: their releases are apart. Elsewhere what follows the colon is a registry's address.
_RELEASED = frozenset({"Debian", "Ubuntu", "Alpine"})


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One point of a range."""

    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None


class Range(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """SEMVER, ECOSYSTEM or GIT, with its events."""

    type: str
    events: tuple[Event, ...] = ()


class Severity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A CVSS vector, or a word."""

    type: str = ""
    score: str = ""


class Package(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Ecosystem and name."""

    ecosystem: str
    name: str


class Affected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which versions of one package are affected."""

    package: Package | None = None
    ranges: tuple[Range, ...] = ()
    versions: tuple[str, ...] = ()
    severity: tuple[Severity, ...] = ()


class Advisory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the store keeps of a record, its packages' versions apart."""

    id: str
    modified: datetime
    published: datetime | None = None
    withdrawn: datetime | None = None
    aliases: tuple[str, ...] = ()
    upstream: tuple[str, ...] = ()
    summary: str = ""
    severity: str = ""
    workaround: str = ""
    packages: tuple[tuple[str, str], ...] = ()  # ecosystem and name, as they are looked up


class _RecordAffected(msgspec.Struct, frozen=True, kw_only=True):
    package: Package | None = None
    ranges: tuple[Range, ...] | None = None
    versions: tuple[str, ...] | None = None
    severity: tuple[Severity, ...] | None = None


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    modified: datetime
    published: datetime | None = None
    withdrawn: datetime | None = None
    aliases: tuple[str, ...] | None = None
    upstream: tuple[str, ...] | None = None
    summary: str | None = None
    details: str | None = None
    severity: tuple[Severity, ...] | None = None
    affected: tuple[_RecordAffected, ...] | None = None


_decoder = msgspec.json.Decoder(_Record)


def base_of(ecosystem: str) -> str:
    """The ecosystem without its release or registry: "Debian" of "Debian:12"."""
    return ecosystem.partition(":")[0]


def parse_record(
    data: bytes, *, now: datetime
) -> tuple[Advisory, dict[tuple[str, str], list[Affected]]]:
    """The advisory of one JSON document, and per ecosystem and name what it says of versions.

    Raises `Rejected`: not JSON, a field of a wrong type, an id or time that cannot be one.
    """
    try:
        record = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected("malformed", f"not an OSV record: {error}") from error
    _require_sane(record, now)
    packages: dict[tuple[str, str], list[Affected]] = {}
    for one in record.affected or ():
        if one.package is not None:
            # Only the versions: the package is the key, its severity becomes the advisory's.
            affected = Affected(ranges=one.ranges or (), versions=one.versions or ())
            packages.setdefault(_key_of(one.package), []).append(affected)
    severities = [*(record.severity or ())]
    severities += [one for entry in record.affected or () for one in entry.severity or ()]
    advisory = Advisory(
        id=record.id,
        modified=record.modified,
        published=record.published,
        withdrawn=record.withdrawn,
        aliases=(record.aliases or ())[:_MAX_NAMES],
        upstream=(record.upstream or ())[:_MAX_NAMES],
        summary=_shorten(record.summary or record.details or "", _MAX_SUMMARY),
        severity=severities[-1].score[:_MAX_SUMMARY] if severities else "",
        workaround=_find_workaround(record.details or ""),
        packages=tuple(sorted(packages)),
    )
    return advisory, packages


def _require_sane(record: _Record, now: datetime) -> None:
    if len(record.id) > _MAX_ID or not _ID.fullmatch(record.id):
        raise Rejected("malformed", f"{record.id[:40]!r} is no id of an advisory")
    times = (record.modified, record.published, record.withdrawn)
    if any(one is not None and one.tzinfo is None for one in times):
        raise Rejected("malformed", f"{record.id}: a time without its zone")
    if record.modified - now > MAX_SKEW:
        message = f"{record.id}: modified on {record.modified.date()}, in the future"
        raise Rejected("clock", f"{message} (here it is {now.date()})")
    if len(record.affected or ()) > MAX_AFFECTED:
        raise Rejected("too-large", f"{record.id}: more than {MAX_AFFECTED} affected packages")


def _key_of(package: Package) -> tuple[str, str]:
    base = base_of(package.ecosystem)
    if not base or not package.name or len(package.ecosystem + package.name) > _MAX_NAME:
        raise Rejected("malformed", "a package without ecosystem or name, or with a too long one")
    ecosystem = package.ecosystem if base in _RELEASED else base
    return ecosystem, normalise_name(base, package.name)


def _find_workaround(details: str) -> str:
    """The text under a heading "Workarounds" or "Mitigations", unless it says that there is none.

    OSV has no field for it; the databases that people write have such a section.
    """
    heading = _HEADING.search(details)
    if not heading:
        return ""
    rest = details[heading.end() :]
    following = _NEXT_HEADING.search(rest)
    text = " ".join(rest[: following.start() if following else None].split())
    return "" if not text or _NONE_KNOWN.match(text) else _shorten(text, _MAX_WORKAROUND)


def _shorten(text: str, length: int) -> str:
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else line[: length - 1] + "…"
