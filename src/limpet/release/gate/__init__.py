"""The gate: what a release must show before anybody signs it.

Owns the rules, what they look at, and the report. A rule refuses, passes, or was inconclusive,
which blocks as well; nothing here can be switched off by an option. Judges files and starts the
firmware that it judges; signs nothing.
"""

from ._attesting import attest, load_gate_key, record_report
from ._opening import open_subject
from ._rule import Fault, Finding, Rule, Verdict, judged, not_applicable, passed
from ._runner import Judgement, Report, run_gate
from ._sarif import render_sarif
from ._subject import Before, Subject
from .rules import RULES

__all__ = [
    "RULES",
    "Before",
    "Fault",
    "Finding",
    "Judgement",
    "Report",
    "Rule",
    "Subject",
    "Verdict",
    "attest",
    "judged",
    "load_gate_key",
    "not_applicable",
    "open_subject",
    "passed",
    "record_report",
    "render_sarif",
    "run_gate",
]
