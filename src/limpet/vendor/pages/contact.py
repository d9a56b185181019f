"""`security.txt` among the public pages: signed if somebody signed it, watched until it expires.

Owns the choice between the signed file and one made now, the signing by GnuPG, and how long each
is good. A signed file that does not say what the design says, or that is stale, is not used: an
unsigned one takes its place, and the reason is told (RFC 9116, 2.3 and 2.5.5).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from limpet.errors import LimpetError, Rejected, naming
from limpet.product import Product, render_security_txt
from limpet.storage import make_directory, read_bounded, write_atomic
from limpet.vendor.gnupg import run_gpg

__all__ = ["WARN_DAYS", "Contact", "load_contact", "read_signed", "sign_contact", "signed_file"]

WARN_DAYS = 60
"""Days before its end from which on a contact is spoken of."""

CONTACT_BYTES = 64 << 10
_BEGIN, _SIGNATURE, _END = (
    f"-----{word}-----"
    for word in ("BEGIN PGP SIGNED MESSAGE", "BEGIN PGP SIGNATURE", "END PGP SIGNATURE")
)
_EXPIRES = re.compile(r"^Expires: (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$", re.MULTILINE | re.ASCII)
_ADVICE = "sign a new one: limpet vendor pages sign-contact"


@dataclass(frozen=True, slots=True)
class Contact:
    """What is served as `security.txt`; empty text where the contact itself has expired."""

    text: bytes
    expires: datetime | None = None
    signed: bool = False
    fault: str = ""  # why the signed file that is there is not used

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires; 0 where it has."""
        return 0 if self.expires is None else max(0, (self.expires - now).days)


def signed_file(public: Path) -> Path:
    """Where a vendor's directory keeps the signed file."""
    return public / "contact" / "security.txt"


def load_contact(product: Product, public: Path, *, host: str, now: datetime) -> Contact:
    """The signed file if it is right and good, else a text made now."""
    url = f"https://{host}/.well-known/security.txt"
    file, fault = signed_file(public), ""
    if file.exists():
        try:
            data = read_bounded(file, max_bytes=CONTACT_BYTES)
            with naming(file):
                return Contact(data, _verify_signed(data, product, url, now), signed=True)
        except LimpetError as error:
            fault = f"{error.message}: an unsigned one is in its place"
    try:
        text = render_security_txt(product, now=now, canonical_url=url)
    except Rejected:
        return Contact(b"", fault=fault)
    return Contact(text.encode(), _expiry(text), fault=fault)


def sign_contact(
    product: Product, public: Path, *, host: str, now: datetime, key: str, home: Path | None
) -> Contact:
    """Have GnuPG sign the text as `key` (in its directory `home`), and keep it for the pages.

    Raises `Rejected("security-contact-expired" | "not-signed")` and `Unavailable`; then the file
    that was there still stands.
    """
    url = f"https://{host}/.well-known/security.txt"
    text = render_security_txt(product, now=now, canonical_url=url)
    words = ["--clearsign", "--local-user", key, "--output", "-"]
    signed = run_gpg(words, text.encode(), home=home)
    run_gpg(["--verify", "-"], signed, home=home)
    expires = _verify_signed(signed, product, url, now)
    file = signed_file(public)
    make_directory(file.parent, mode=0o755)
    write_atomic(file, signed, mode=0o644)
    return Contact(signed, expires, signed=True)


def read_signed(data: bytes) -> str:
    """The text within an OpenPGP cleartext signature (RFC 9580, 7), and nothing around it.

    It does not verify the signature: that takes the key. Raises `Rejected("not-signed")`.
    """
    try:
        lines = data.decode("ascii").replace("\r\n", "\n").rstrip("\n").split("\n")
        blank, end = lines.index(""), lines.index(_SIGNATURE)
    except (UnicodeDecodeError, ValueError):
        raise Rejected("not-signed", "this is no cleartext signature", hint=_ADVICE) from None
    headers, body, rest = lines[1:blank], lines[blank + 1 : end], lines[end + 1 :]
    whole = lines[0] == _BEGIN and rest[-1:] == [_END] and rest.count(_END) == 1
    if not whole or not all(one.startswith("Hash: ") for one in headers) or _BEGIN in body:
        raise Rejected("not-signed", "something stands beside the signed text", hint=_ADVICE)
    return "\n".join(line.removeprefix("- ") for line in body) + "\n"


def _verify_signed(data: bytes, product: Product, url: str, now: datetime) -> datetime:
    """That the signed text is the design's, but for the day, and is good. When it expires."""
    text = read_signed(data)
    expires = _expiry(text)
    wanted = render_security_txt(product, now=now, canonical_url=url)
    if expires is None or _EXPIRES.sub("", text).strip() != _EXPIRES.sub("", wanted).strip():
        raise Rejected("out-of-step", "the signed contact is not the design's", hint=_ADVICE)
    if expires <= now:
        raise Rejected("stale", f"the signed contact expired on {expires:%Y-%m-%d}", hint=_ADVICE)
    if expires > now + timedelta(days=366):
        raise Rejected("out-of-step", "the signed contact is good for too long", hint=_ADVICE)
    return expires


def _expiry(text: str) -> datetime | None:
    found = _EXPIRES.findall(text)
    if len(found) != 1:
        return None
    try:
        return datetime.strptime(found[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
