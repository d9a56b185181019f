"""The vendor's own security advisories: CSAF 2.0 documents, and their public list.

Owns their form, their revisions and their distribution. Knows nothing of what others publish:
that is `limpet.release.advisories`.
"""

from ._csaf import Advisory, encode_advisory, file_name, load_advisory, parse_advisory
from ._distribution import Distribution, Listed
from ._drafting import Order, choose_versions, draft_advisory
from ._mandatory import Fault, find_faults, verify_advisory
from ._openpgp import Signer, load_signer, verify_signature
from ._publishing import (
    Published,
    advisory_file,
    decide_revision,
    publish_advisory,
    save_draft,
)

__all__ = [
    "Advisory",
    "Distribution",
    "Fault",
    "Listed",
    "Order",
    "Published",
    "Signer",
    "advisory_file",
    "choose_versions",
    "decide_revision",
    "draft_advisory",
    "encode_advisory",
    "file_name",
    "find_faults",
    "load_advisory",
    "load_signer",
    "parse_advisory",
    "publish_advisory",
    "save_draft",
    "verify_advisory",
    "verify_signature",
]
