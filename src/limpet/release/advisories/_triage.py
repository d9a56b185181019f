"""`vulnerabilities.toml`: who answers for what cannot be fixed, and when it is looked at again.

Owns the file's form. It fixes nothing: a vulnerability with a known fix blocks whatever it says.
"""

from datetime import date
from pathlib import Path

import msgspec

from limpet.errors import Rejected
from limpet.storage import read_bounded

__all__ = ["TRIAGE_FILE", "Owned", "OwnedComponent", "Triage", "load_triage"]

TRIAGE_FILE = "vulnerabilities.toml"
_MAX_BYTES = 1024 * 1024
_MAX_ENTRIES = 10_000
_TEXT = 1000


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    component: str  # purl; without a version, of every version
    owner: str
    reason: str
    review_by: date


class Owned(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A known vulnerability without fix, workaround or mitigation, that somebody watches."""

    id: str


class OwnedComponent(_Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A component that no advisory can be matched to, which somebody watches elsewhere."""


class Triage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file; an absent one is empty."""

    vulnerabilities: tuple[Owned, ...] = ()
    unmatched: tuple[OwnedComponent, ...] = ()


def load_triage(product: Path) -> Triage:
    """Read the file of a product's directory; an absent one owns nothing.

    Raises `Rejected` if it is not of this form: an unknown key, no owner, no reason.
    """
    path = product / TRIAGE_FILE
    if not path.exists():
        return Triage()
    data = read_bounded(path, max_bytes=_MAX_BYTES)
    try:
        triage = msgspec.toml.decode(data, type=Triage)
    except (msgspec.DecodeError, ValueError) as error:
        raise Rejected("malformed", f"{path}: {error}") from error
    entries = (*triage.vulnerabilities, *triage.unmatched)
    if len(entries) > _MAX_ENTRIES:
        raise Rejected("too-large", f"{path}: more than {_MAX_ENTRIES} entries")
    for entry in entries:
        texts = (entry.component, entry.owner, entry.reason, getattr(entry, "id", "-"))
        if not all(text.strip() and len(text) <= _TEXT for text in texts):
            message = (
                f"{path}: {entry.component or 'an entry'}: every field is 1 to {_TEXT} characters"
            )
            raise Rejected("malformed", message)
    return triage
