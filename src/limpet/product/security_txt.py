"""The text of `/.well-known/security.txt` (RFC 9116) from the product's contact.

Owns the text only: who serves it, and when it is renewed, is not decided here.
"""

import re
from datetime import UTC, datetime, time, timedelta

from limpet.errors import Misuse, Rejected

from ._types import Product

__all__ = ["MAX_VALIDITY", "render_security_txt"]

MAX_VALIDITY = timedelta(days=364)
"""RFC 9116 section 2.5.5 recommends less than a year."""

_URL = re.compile(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/[!-~]{1,512}")


def render_security_txt(
    product: Product, *, now: datetime, canonical_url: str | None = None
) -> str:
    """The file's text, ending in a newline; `now` needs a time zone.

    Expires comes at the contact's own `expires` date (midnight UTC) or `MAX_VALIDITY` after
    `now`, whichever is first. `canonical_url` is where this very file is served.
    Raises `Rejected("security-contact-expired")` once that date has come, and `Misuse`
    for a `now` without zone or a `canonical_url` that is not an https:// URL with a path.
    """
    if now.tzinfo is None:
        raise Misuse("security.txt needs a time with a zone")
    if canonical_url is not None and not _URL.fullmatch(canonical_url):
        raise Misuse("the canonical address of security.txt must be an https:// URL")
    contact = product.security_contact
    end = datetime.combine(contact.expires, time(), UTC)
    if end <= now:
        raise Rejected(
            "security-contact-expired",
            f"the security contact expired on {contact.expires.isoformat()}",
            hint="see that the addresses are still read, then set security_contact.expires",
        )
    expires = min(end, now.astimezone(UTC) + MAX_VALIDITY).replace(microsecond=0)
    lines = [f"Contact: {uri}" for uri in contact.contacts]
    lines.append(f"Expires: {expires.strftime('%Y-%m-%dT%H:%M:%SZ')}")
    lines.append(f"Preferred-Languages: {', '.join(contact.languages)}")
    lines.append(f"Policy: {contact.policy_url}")
    if canonical_url is not None:
        lines.append(f"Canonical: {canonical_url}")
    return "\n".join(lines) + "\n"
