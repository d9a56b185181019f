"""The names of a device's processes; who needs no more of `permits` loads no messages for them."""

import enum

__all__ = ["Role"]


class Role(enum.Enum):
    """The processes of a running device."""

    SUPERVISOR = "supervisor"
    KEEPER = "keeper"
    ACCOUNTS = "accounts"
    APP = "app"
    UPDATER = "updater"
    GATEWAY = "gateway"
    ANNOUNCER = "announcer"
