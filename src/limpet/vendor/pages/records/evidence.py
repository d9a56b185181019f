"""The result of an audit, as `limpet audit --json` writes it.

Owns the reading, and the place where a vendor's directory keeps it. The report comes from another
program and perhaps from another house: nothing in it is believed but that it says so.
"""

import enum
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from limpet.errors import Rejected, naming
from limpet.requirements import load_statements
from limpet.storage import make_directory, read_bounded, write_atomic
from limpet.wire.codec import Moment, decode_json

__all__ = [
    "EVIDENCE_BYTES",
    "Evidence",
    "Finding",
    "Verdict",
    "evidence_file",
    "place_evidence",
    "read_evidence",
]

EVIDENCE_BYTES = 2 << 20
"""Longest report that is read; 65 statements with all their evidence are 60 KB."""

_ADVICE = "make one: limpet audit TARGET… --json FILE"
_SLACK = timedelta(days=1)  # between two clocks
Words = Annotated[str, Meta(max_length=4000)]


class Verdict(enum.Enum):
    """What is known about one statement, in the report's own words."""

    PASS = "pass"  # noqa: S105
    ATTESTED = "attested"
    NOT_APPLICABLE = "not applicable"
    FAIL = "fail"
    COULD_NOT_DETERMINE = "could not determine"
    NOT_YET = "not yet"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about one statement. Keys are only ever added: others are passed over."""

    statement: Annotated[str, Meta(pattern=r"^R[1-9][0-9.]{0,8}[a-z]?$")]
    level: Annotated[str, Meta(max_length=32)]
    section: Annotated[str, Meta(max_length=32)]
    asks: Words
    verdict: Verdict
    evidence: Words
    started: Moment  # UTC


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report, one finding a statement."""

    spec: Literal["limpet-audit-1"]
    target: Annotated[str, Meta(max_length=1000)]
    started: Moment  # UTC
    entries: Annotated[tuple[Finding, ...], Meta(min_length=1, max_length=500)]

    @property
    def totals(self) -> Mapping[Verdict, int]:
        """How many statements have each verdict, in the order of `Verdict`."""
        counted = Counter(entry.verdict for entry in self.entries)
        return {verdict: counted[verdict] for verdict in Verdict}

    @property
    def open_ends(self) -> tuple[Finding, ...]:
        """What was looked at and does not hold, or could not be looked at."""
        closed = {Verdict.PASS, Verdict.ATTESTED, Verdict.NOT_APPLICABLE}
        return tuple(entry for entry in self.entries if entry.verdict not in closed)


def read_evidence(data: bytes, *, now: datetime) -> Evidence:
    """The report in `data`.

    Raises `Rejected("malformed" | "too-large")`, for one with a statement twice, with one that
    the standard does not have, or from the future, too.
    """
    found = decode_json(data, Evidence, max_bytes=EVIDENCE_BYTES)
    names = [entry.statement for entry in found.entries]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise Rejected("malformed", f"an audit's report says {twice[0]} twice", hint=_ADVICE)
    known = {statement.id for statement in load_statements()}
    if foreign := sorted(set(names) - known):
        raise Rejected("malformed", f"the standard has no statement {foreign[0]}", hint=_ADVICE)
    if found.started > now + _SLACK:
        raise Rejected("malformed", f"an audit of {found.started:%Y-%m-%d} is still to come")
    return found


def evidence_file(public: Path, model: str) -> Path:
    """Where a vendor's directory keeps the report on `model`."""
    return public / "evidence" / f"{model}.json"


def place_evidence(file: Path, public: Path, model: str, *, now: datetime) -> Evidence:
    """Keep the report in `file` as the one that the pages of `model` show.

    Raises as `read_evidence`, and `Unavailable`; then the old one still stands.
    """
    data = read_bounded(file, max_bytes=EVIDENCE_BYTES)
    with naming(file, hint=_ADVICE):
        found = read_evidence(data, now=now)
    place = evidence_file(public, model)
    make_directory(place.parent, mode=0o755)
    write_atomic(place, data, mode=0o644)
    return found
