"""The end of support as a notification: in time, and for good once it is over.

Pure. The words are the updater's, which knows the signed dates.
"""

from datetime import datetime

from limpet.device.link import messages as m

__all__ = ["SUPPORT_NOTICE", "support_notice"]

SUPPORT_NOTICE = 1_000_000_001
"""Its id: no product's notice has one so high, and no acknowledgement ends it."""


def support_notice(status: m.UpdateStatus, now: datetime) -> tuple[m.Notice, ...]:
    """What the owner is told of the end of support, if anything."""
    if not status.support_notice:
        return ()
    return (
        m.Notice(
            id=SUPPORT_NOTICE,
            key="support",
            text=status.support_notice,
            level="error" if status.support_over else "warning",
            raised_at=now,
        ),
    )
