"""What others wrote about a product, read for its pages: audit, SBOM, advisories, gate, keys.

Owns small typed readers of documents that the vendor puts in place or that other parts publish.
Each gives a frozen type or `Rejected`; none judges. Whatever a document says stays text.
"""

from .advisories import Advisory, load_advisories
from .bill import Bill, Part, read_bill
from .evidence import Evidence, Finding, place_evidence, read_evidence
from .gate import Gate, read_gate
from .keys import Anchor, KeyRole, list_roles, load_anchors

__all__ = [
    "Advisory",
    "Anchor",
    "Bill",
    "Evidence",
    "Finding",
    "Gate",
    "KeyRole",
    "Part",
    "list_roles",
    "load_advisories",
    "load_anchors",
    "place_evidence",
    "read_bill",
    "read_evidence",
    "read_gate",
]
