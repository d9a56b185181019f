"""What a VEX statement says, and when it may excuse a known vulnerability.

Owns the type that CycloneDX and OpenVEX documents are read into, and the rules of what is
honoured. Never excuses by an id alone: a statement is about one vulnerability in one component in
one version, by somebody, for a reason, until a day.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import Enum

from packageurl import PackageURL

from limpet.errors import Rejected

__all__ = [
    "EXPIRES",
    "VexStatement",
    "VexStatus",
    "find_fault",
    "is_about",
    "is_same_package",
    "parse_expiry",
    "require_zone",
    "version_of",
]

EXPIRES = "limpet:expires"
"""Neither format has an expiry: a property of this name (CycloneDX), `limpet:expires=DATE` in
`status_notes` (OpenVEX). docs/adr/0154."""

_PERIMETER = {
    "protected_at_perimeter": "counts on a perimeter, on which no device may (R2.1f)",
    "inline_mitigations_already_exist": (
        "is what protected_at_perimeter is translated to, and R2.1f forbids to count on that:"
        " say it in CycloneDX, which tells perimeter, compiler and control apart"
    ),
}


class VexStatus(Enum):
    """The four of the VEX working group; CycloneDX's states are read into them."""

    NOT_AFFECTED = "not_affected"
    AFFECTED = "affected"
    FIXED = "fixed"
    UNDER_INVESTIGATION = "under_investigation"


@dataclass(frozen=True, slots=True, kw_only=True)
class VexStatement:
    """One vulnerability in one component, as its author sees it."""

    names: frozenset[str]  # the vulnerability's id and aliases
    component: str  # purl
    version: str  # empty if the statement names none, and then it excuses nothing
    product: str = ""  # purl of what the component is in, if the statement is about that only
    status: VexStatus
    justification: str = ""  # the format's label; for `fixed` what was done, in words
    detail: str = ""
    action: str = ""  # for `affected`: a mitigation or workaround, in words
    author: str = ""
    at: datetime | None = None
    expires: datetime | None = None
    source: str = ""  # file and place, for messages


def is_same_package(stated: str, component: str) -> bool:
    """Whether `stated` names the package of `component`; versions are compared elsewhere.

    Qualifiers that the statement gives must be the component's; it need not give any.
    """
    try:
        mine, theirs = PackageURL.from_string(stated), PackageURL.from_string(component)
    except ValueError:
        return False
    if (mine.type, mine.namespace, mine.name) != (theirs.type, theirs.namespace, theirs.name):
        return False
    wanted, had = dict(mine.qualifiers or {}), dict(theirs.qualifiers or {})
    return all(had.get(key) == value for key, value in wanted.items())


def find_fault(statement: VexStatement, *, now: datetime, longest: timedelta) -> str | None:
    """Why `statement` excuses nothing; None if it is to be honoured.

    No expiry may be further away than `longest`: what is never looked at again is not an excuse.
    Whether the statement is about the vulnerability, the component and the product at hand, the
    caller has seen.
    """
    if statement.status not in (VexStatus.NOT_AFFECTED, VexStatus.FIXED):
        return f"says {statement.status.value}"
    if statement.justification in _PERIMETER:
        return f"{statement.justification} {_PERIMETER[statement.justification]}"
    if not statement.justification:
        return "has no justification"
    if not statement.author:
        return "has no author"
    if statement.at is None or statement.at > now:
        return "has no time at which it was made" if statement.at is None else "is of the future"
    if statement.expires is None:
        return f"has no expiry ({EXPIRES})"
    if statement.expires <= now:
        return f"expired on {statement.expires.date()}"
    if statement.expires - now > longest:
        return f"expires in more than {longest.days} days, on {statement.expires.date()}"
    return None


def is_about(product: str, subject: str) -> bool:
    """Whether a statement about `product` is one about the firmware `subject` (both purls)."""
    if not is_same_package(product, subject):
        return False
    version = PackageURL.from_string(product).version
    return not version or version == PackageURL.from_string(subject).version


def version_of(purl: str) -> str | None:
    """The version of a purl, empty if it has none; None for what is no purl."""
    try:
        return PackageURL.from_string(purl).version or ""
    except ValueError:
        return None


def parse_expiry(text: str, place: str) -> datetime:
    """A day (its end, in UTC) or a time with its zone; `Rejected` for anything else."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{place}: {EXPIRES} is {text[:40]!r}, no date"
        raise Rejected("malformed", message) from error
    if len(text) == len("2026-01-31"):
        return datetime.combine(at.date(), time.max, UTC)
    aware = require_zone(at, place)
    return aware or at


def require_zone(at: datetime | None, place: str) -> datetime | None:
    """`at`, which must say its zone. Raises `Rejected`."""
    if at is not None and at.tzinfo is None:
        raise Rejected("malformed", f"{place}: a time without its zone")
    return at
