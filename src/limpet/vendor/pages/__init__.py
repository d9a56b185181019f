"""The vendor's public face: what anybody may know of its products, as pages and as paper.

Owns what strangers read: text and its look, without script, image or any other
party's asset. Knows no device, no owner and no key.
"""

from .contact import Contact, load_contact
from .dossier import Dossier, ReleaseRecord, load_dossier
from .mud import MudFiles, load_mud
from .site import Page, Site, find_page, render_papers, render_site
from .watch import Concern, State, examine, verify_publishable
from .writing import replace_site, write_site

__all__ = [
    "Concern",
    "Contact",
    "Dossier",
    "MudFiles",
    "Page",
    "ReleaseRecord",
    "Site",
    "State",
    "examine",
    "find_page",
    "load_contact",
    "load_dossier",
    "load_mud",
    "render_papers",
    "render_site",
    "replace_site",
    "verify_publishable",
    "write_site",
]
