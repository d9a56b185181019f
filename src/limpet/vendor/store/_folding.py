"""Which certificates of a device the record can do without.

Owns the rule. Pure. Of a certificate that ended long ago the record has to tell three things for
good: that its key was this device's (no other may have it), whether a key came back after another
(two machines have the identity), and that it was issued at all, which a number tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

__all__ = ["ENDED_KEPT", "KEYS_KEPT", "Certificate", "choose_folded"]

ENDED_KEPT = timedelta(days=30)
"""How long a certificate is on record after its end: for whoever looks into a theft."""

KEYS_KEPT = 100
"""Keys remembered of one device and purpose, the latest. A device has a new one after a reset;
one that asks for a new key each minute fills nobody's disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """An operational certificate that was issued."""

    sha256: str
    serial: str
    purpose: str
    spki_sha256: str
    issued_at: datetime
    not_after: datetime


def choose_folded(certificates: Sequence[Certificate], *, now: datetime) -> list[str]:
    """Hashes of those of one device, oldest first, that may go.

    What ended less than `ENDED_KEPT` ago stays, and of each key the first and the last: a key came
    back if and only if such a span reaches into that of another key, and spans keep their ends.
    """
    spans: dict[tuple[str, str], tuple[str, str]] = {}
    for one in certificates:
        first, _ = spans.pop((one.purpose, one.spki_sha256), (one.sha256, ""))
        spans[one.purpose, one.spki_sha256] = (first, one.sha256)  # the last used comes last
    kept: set[str] = set()
    for purpose in {purpose for purpose, _ in spans}:
        of_purpose = [span for (found, _), span in spans.items() if found == purpose]
        kept.update(sha256 for span in of_purpose[-KEYS_KEPT:] for sha256 in span)
    edge = now - ENDED_KEPT
    return [one.sha256 for one in certificates if one.sha256 not in kept and one.not_after < edge]
