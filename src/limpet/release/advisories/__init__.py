"""Known vulnerabilities: advisories on file, what of a firmware they concern, what follows.

Owns the store of advisories (OSV), the matching by ecosystem, package and version, what VEX
statements may excuse, and the decision. Never says "no issues" where data is missing, old,
damaged or cannot be compared: that is inconclusive, and names why.
"""

from ._judge import Judged, Outcome, Policy, find_staleness, judge_vulnerabilities
from ._match import look_up, match
from ._remote import RemoteDump, make_remote_dump
from ._source import Bounds
from ._store import AdvisoryStore
from ._triage import TRIAGE_FILE, Owned, OwnedComponent, Triage, load_triage
from ._types import (
    EcosystemFacts,
    Hit,
    ImportReport,
    Lookup,
    Refusal,
    StoreFacts,
    Unmatched,
    Why,
)
from ._vex import VexStatement, VexStatus
from ._vex_documents import load_vex, parse_vex

__all__ = [
    "TRIAGE_FILE",
    "AdvisoryStore",
    "Bounds",
    "EcosystemFacts",
    "Hit",
    "ImportReport",
    "Judged",
    "Lookup",
    "Outcome",
    "Owned",
    "OwnedComponent",
    "Policy",
    "Refusal",
    "RemoteDump",
    "StoreFacts",
    "Triage",
    "Unmatched",
    "VexStatement",
    "VexStatus",
    "Why",
    "find_staleness",
    "judge_vulnerabilities",
    "load_triage",
    "load_vex",
    "look_up",
    "make_remote_dump",
    "match",
    "parse_vex",
]
