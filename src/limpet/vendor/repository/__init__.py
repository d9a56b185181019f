"""The TUF repository: what firmware exists, and when it is offered.

Owns `public/repository` and the online keys of timestamp, snapshot and
`rollout/<model>`. Publishes what the offline role `releases/<model>` signed, and
can neither make nor change it.
"""

from ._release import SignedRelease, VerifiedRelease, verify_release
from ._repository import PublishedRelease, Repository
from ._state import RepositoryState
from .forgetting import forget_superseded

__all__ = [
    "PublishedRelease",
    "Repository",
    "RepositoryState",
    "SignedRelease",
    "VerifiedRelease",
    "forget_superseded",
    "verify_release",
]
