"""What the pages say: from a dossier to chapters of a document.

Owns the words. Pure: a dossier and a day in, text out. It says what is missing as plainly as
what is there.
"""

from .documents import audit_page, overview_page, security_document, support_page
from .records import advisories_page, components_page, network_page, releases_page
from .words import Standing, decide_standing

__all__ = [
    "Standing",
    "advisories_page",
    "audit_page",
    "components_page",
    "decide_standing",
    "network_page",
    "overview_page",
    "releases_page",
    "security_document",
    "support_page",
]
