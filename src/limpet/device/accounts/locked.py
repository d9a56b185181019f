"""The accounts role when its records cannot be read: every request is refused.

Owns the locked state. It ends with the process: whoever restores the records starts
the device again. Never writes, so that what is left of the records stays as it is.
"""

import sys

from limpet.device.confine import confine
from limpet.device.link import messages as m
from limpet.device.link.bus import Bus
from limpet.device.link.permits import PERMITS, Role
from limpet.device.link.start import Start
from limpet.errors import LimpetError
from limpet.wire.codec import Message

__all__ = ["REQUESTS", "serve_locked"]

REQUESTS = tuple(
    (PERMITS[Role.GATEWAY, Role.ACCOUNTS] | PERMITS[Role.SUPERVISOR, Role.ACCOUNTS])
    - {m.Ping, m.Stop}
)
"""All that `AccountsService` serves: a test compares."""


async def serve_locked(start: Start, bus: Bus, error: LimpetError) -> None:
    """Refuse every request until stopped; `error` is said once, in the log and on stderr."""
    for kind in REQUESTS:
        bus.on(kind, _refuse)
    bus.log("accounts-locked", str(error), level="error")
    print(f"accounts are locked: {error}", file=sys.stderr, flush=True)
    await bus.ready(confine(Role.ACCOUNTS, start))
    await bus.until_stopped()


async def _refuse(request: Message) -> m.Reply:
    del request
    return m.Refused(
        reason="accounts-locked",
        message="the device's accounts are damaged, so nobody is let in; its log says more",
    )
