"""The vendor's directory: four drawers, each with its own right to be read.

Owns the layout, the settings, the locks and the making of a new directory.
`offline` is never opened by the running service; `factory` belongs to the
station; `online` holds the keys that may only schedule; `public` holds no
secret and may be served by anything.
"""

from ._create import create
from ._layout import (
    FORMER_FILE,
    LOCAL_ADDRESSES,
    REGISTER_FILE,
    SERVICE_DAYS,
    SETTINGS_FILE,
    Home,
    Settings,
    key_file,
    open_home,
)
from ._lock import hold_lock

__all__ = [
    "FORMER_FILE",
    "LOCAL_ADDRESSES",
    "REGISTER_FILE",
    "SERVICE_DAYS",
    "SETTINGS_FILE",
    "Home",
    "Settings",
    "create",
    "hold_lock",
    "key_file",
    "open_home",
]
