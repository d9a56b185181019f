"""The watch over published releases: their bills of materials against new advisories, again and
again (draft-moore, 4 and 5.1).

Owns the entries: what is open since when, which releases and how many devices have it, how long
the fixing release took. Judges as the gate does, by `limpet.release.advisories`. Never takes "not
found" for "not there" where data are missing, old or damaged.
"""

from ._looking import UNMATCHED, WATCH_DATABASE, LookOrder, Statements, look
from ._schedule import watch
from ._store import WatchStore
from ._types import Closing, Entry, Looked, Trouble
from ._webhook import Webhook, make_webhook

__all__ = [
    "UNMATCHED",
    "WATCH_DATABASE",
    "Closing",
    "Entry",
    "LookOrder",
    "Looked",
    "Statements",
    "Trouble",
    "WatchStore",
    "Webhook",
    "look",
    "make_webhook",
    "watch",
]
