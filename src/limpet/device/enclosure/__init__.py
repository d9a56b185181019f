"""What a role's process is put into before a line of the role is loaded.

Owns a role's user id, its private namespaces and its view of the file system: everything
that needs a right which the role must never have. Opens nothing, reads no message, and
imports nothing of the device: a few hundred lines run as root in each new process, no more.

`users` and `ownership` decide whose ids and files those are: for boot and supervisor, which
alone pay for loading them.

The order: namespaces while the process still may, the view within them, the bounding set of
capabilities, then the user id, for good. `limpet.device.confine` comes after it, from within.
"""

from limpet.device.enclosure._capabilities import (
    ATTENDANT,
    SUPERVISOR,
    Capability,
    forbid_new_privileges,
    keep_capabilities,
    permitted,
)
from limpet.device.enclosure._entering import MECHANISMS, USER_IDS, Enclosure, Entered, enter
from limpet.device.enclosure._user import SERVING, User
from limpet.device.enclosure._view import Place

__all__ = [
    "ATTENDANT",
    "MECHANISMS",
    "SERVING",
    "SUPERVISOR",
    "USER_IDS",
    "Capability",
    "Enclosure",
    "Entered",
    "Place",
    "User",
    "enter",
    "forbid_new_privileges",
    "keep_capabilities",
    "permitted",
]
