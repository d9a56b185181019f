"""The ids of one role, and the roles that have some: all that a role's own process needs of it."""

import msgspec

__all__ = ["SERVING", "User"]

SERVING = ("keeper", "accounts", "app", "updater", "gateway", "announcer")
"""The roles, in the order of their ids within a block."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """The ids of one role."""

    uid: int
    gid: int
