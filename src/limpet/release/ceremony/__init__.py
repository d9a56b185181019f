"""Signing as a ceremony: people who sign on machines of their own, and never meet on one.

Owns the file that goes between them, the judgement of it from each one's own root of trust, and the
words that they are shown. Publishes nothing: the vendor's repository verifies all of it again.
"""

from ._chain import Published, verify_published
from ._deeds import Opened, open_request, sign_request
from ._making import (
    ALL,
    Holders,
    propose_holders,
    request_model,
    request_online,
    request_release,
    verify_subject,
)
from ._memory import MEMORY_FILE, load_memory
from ._request import SigningRequest, load_request, merge_requests, parse_root_version, save_request
from ._review import Review, Standing

__all__ = [
    "ALL",
    "MEMORY_FILE",
    "Holders",
    "Opened",
    "Published",
    "Review",
    "SigningRequest",
    "Standing",
    "load_memory",
    "load_request",
    "merge_requests",
    "open_request",
    "parse_root_version",
    "propose_holders",
    "request_model",
    "request_online",
    "request_release",
    "save_request",
    "sign_request",
    "verify_published",
    "verify_subject",
]
