"""What boot does of what root may, before it starts anything: choose the roles' user ids, see
that the files belong to whom they must, and give up the rest.

Owns that order. An ordinary user has nothing to give up: every process then runs as that user.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from limpet.device.enclosure import (
    ATTENDANT,
    SUPERVISOR,
    forbid_new_privileges,
    keep_capabilities,
)
from limpet.device.enclosure.ownership import own_device
from limpet.device.enclosure.users import find_users, hold_users
from limpet.device.link.journal import Journal
from limpet.errors import Rejected

__all__ = ["separated"]


@contextlib.contextmanager
def separated(
    root: Path, journal: Journal, *, first: int | None, attach: bool = False
) -> Iterator[Sequence[int]]:
    """Hold the ids of the device at `root`, which now belongs to root, by the
    descriptors that this gives; privileges are reduced.

    `first` is the first of a block of ids that boot was told to use; with `attach` a service
    manager starts the roles, and root keeps only what files and signals need. Raises `Rejected`
    for a block that cannot be, `Unavailable` if another running device has the ids.
    """
    forbid_new_privileges()
    users = find_users(root, first=first, given=attach)
    if users is None:
        if first is not None or attach:
            raise Rejected(
                "not-root", "only root gives roles user ids of their own", hint="start it as root"
            )
        keep_capabilities(SUPERVISOR)
        yield ()
        return
    with hold_users(users, root) as held:
        settled = own_device(root, users)
        if settled.changed:
            journal.write("boot", "ownership", f"{settled.changed} entries given to root")
        for refused in settled.refused:
            journal.write("boot", "ownership-refused", refused, level="warning")
        keep_capabilities(ATTENDANT if attach else SUPERVISOR)
        yield held
