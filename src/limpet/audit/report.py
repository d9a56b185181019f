"""The report of an audit: one entry for each statement, and totals.

Owns the JSON form, which is stable: keys are only ever added.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec

from limpet.audit.finding import Verdict
from limpet.wire.codec import encode_json

__all__ = ["Entry", "Report", "encode_report"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about one statement."""

    statement: str
    level: str  # the key word: MUST, SHOULD, MAY, ...
    section: str
    asks: str
    verdict: Verdict
    evidence: str
    means: tuple[str, ...]
    citation: str
    started: datetime  # UTC
    seconds: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole audit."""

    spec: Literal["limpet-audit-1"] = "limpet-audit-1"
    target: str
    started: datetime  # UTC
    seconds: float
    entries: tuple[Entry, ...]

    @property
    def totals(self) -> Mapping[Verdict, int]:
        """How many statements have each verdict, in the order of `Verdict`."""
        counted = Counter(entry.verdict for entry in self.entries)
        return {verdict: counted[verdict] for verdict in Verdict}

    def exit_code(self, fail_on: frozenset[Verdict] = frozenset({Verdict.FAIL})) -> int:
        """0: no verdict in `fail_on`; 1: some; 3: nothing at all could be determined."""
        verdicts = {entry.verdict for entry in self.entries}
        if verdicts & fail_on:
            return 1
        return 3 if verdicts <= {Verdict.COULD_NOT_DETERMINE} else 0


def encode_report(report: Report) -> bytes:
    """The report as JSON, with the totals."""
    plain = msgspec.to_builtins(report)
    plain["totals"] = {verdict.value: count for verdict, count in report.totals.items()}
    return encode_json(plain)
