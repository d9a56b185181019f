"""Times that offline keys sign: which of them can be true.

Owns the rule. Such a time raises the floor under every device's clock, and nothing lowers a floor
(docs/adr/0042): one that a build machine with a wrong clock wrote would make each device that sees
it refuse all metadata as expired, until that time has come. So devices, signers and publishers ask.
"""

from datetime import UTC, datetime, timedelta

from limpet.errors import Rejected

__all__ = ["CLOCKS_DIFFER", "LAST", "verify_made_by", "verify_plausible"]

CLOCKS_DIFFER = timedelta(hours=1)
"""Between a build machine and who signs or publishes; far less than a timestamp's life, so that
metadata does not expire for a device that believes such a time."""

FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Of what is believed at all: with years to add and to take away before a calendar ends."""


def verify_plausible(*moments: datetime) -> None:
    """Raise `ValueError` unless each lies between `FIRST` and `LAST`. (What decodes a message
    turns it into `Rejected`.)"""
    if not all(moment.tzinfo is not None and FIRST <= moment <= LAST for moment in moments):
        raise ValueError("a time that no clock shows")


def verify_made_by(made: datetime, latest: datetime, *, what: str) -> None:
    """Raise `Rejected("bad-date")` for something that says it was made after `latest`."""
    if made > latest:
        raise Rejected(
            "bad-date",
            f"{what} says {made:%Y-%m-%d %H:%M} UTC, which has not come",
            hint="set the clock of the machine that made it, and make it again",
        )
