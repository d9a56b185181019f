"""The vendor's public pages: the product, its support period, how to report a bug.

Owns what strangers read: text and its look, without script, image or any other
party's asset. Knows no device, no owner and no key.
"""

from .mud import MudFiles, load_mud
from .site import Page, PublicModel, Site, render_site, write_site

__all__ = ["MudFiles", "Page", "PublicModel", "Site", "load_mud", "render_site", "write_site"]
