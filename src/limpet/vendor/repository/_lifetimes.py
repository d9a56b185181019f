"""How long each role's metadata is good for, and when it is renewed.

Owns the numbers. Online roles are short, so that a client is held on an old
state (a freeze attack, TUF 1.5.2) for a day at most; offline roles are long,
because renewing them takes a person and the drawer.
"""

from datetime import timedelta

__all__ = [
    "RELEASES",
    "RENEW_BELOW",
    "ROLLOUT",
    "ROOT",
    "SNAPSHOT",
    "TARGETS",
    "TIMESTAMP",
]

ROOT = timedelta(days=730)
TARGETS = timedelta(days=365)
RELEASES = timedelta(days=365)
ROLLOUT = timedelta(days=7)
SNAPSHOT = timedelta(days=7)
TIMESTAMP = timedelta(days=1)

RENEW_BELOW = 0.5
"""Online metadata is renewed once less than this share of its lifetime is left."""
