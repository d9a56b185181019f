"""The audit: attacks a running device and looks at its vendor, statement by statement.

Owns the checks (one file per statement in `checks`), the instruments that
measure, the judgements over what was measured, and the report. Reaches a device
or a service over the network, through the files of a product, or as a process on
the same host. Must never import a device's, vendor's or release tool's internals,
and must never call a check passed that could not be made.
"""

from limpet.audit.catalogue import load_checks
from limpet.audit.check import Check, Input, Means, Stage
from limpet.audit.finding import Finding, Verdict
from limpet.audit.report import Entry, Report
from limpet.audit.runner import audit
from limpet.audit.target import Endpoint, Target, parse_endpoint

__all__ = [
    "Check",
    "Endpoint",
    "Entry",
    "Finding",
    "Input",
    "Means",
    "Report",
    "Stage",
    "Target",
    "Verdict",
    "audit",
    "load_checks",
    "parse_endpoint",
]
