"""What a device's label says, and the text of its QR code.

Owns the content only; `limpet.vendor.factory.label` draws it. The claim code
stands on the label and nowhere else: it must never reach a log, so it is not in
any representation or error message of these types.
"""

import re

import msgspec

from limpet.errors import Rejected

__all__ = ["MAX_URI_LENGTH", "Label", "LabelClaim", "parse_label_uri"]

MAX_URI_LENGTH = 256
"""Characters that `parse_label_uri` looks at; a longer text is refused unread."""

_URI_START = "limpet://claim?"
_CROCKFORD = "[0-9A-HJKMNP-TV-Z]"
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]{1,64}")
_FORMS: dict[str, re.Pattern[str]] = {
    "maker": _TEXT,
    "model": _TEXT,
    "hardware_revision": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}"),
    "serial": re.compile(r"[A-Z0-9][A-Z0-9-]{3,31}"),
    # 80 bits or more in groups of four: Crockford base 32 leaves out I, L, O and U.
    "claim_code": re.compile(rf"{_CROCKFORD}{{4}}(?:-{_CROCKFORD}{{4}}){{3,7}}"),
    "support_contact": _TEXT,
    # 32 bytes as base64url without padding (RFC 4648 section 5): the last character is 4 bits.
    "root_pin": re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"),
}
_QUERY = {"s": "serial", "c": "claim_code", "r": "root_pin"}


class LabelClaim(msgspec.Struct, frozen=True, kw_only=True):
    """What the QR code tells a claiming client.

    `root_pin` is the SHA-256 of the device root CA's SubjectPublicKeyInfo, base64url
    without padding. Raises `Rejected("label")` where a part has not its form.
    """

    serial: str
    claim_code: str
    root_pin: str

    def __post_init__(self) -> None:
        _check(self)

    def __repr__(self) -> str:
        return f"LabelClaim(serial={self.serial!r}, claim_code=<secret>)"

    def uri(self) -> str:
        """The compact text of the QR code: `limpet://claim?s=…&c=…&r=…`, ASCII."""
        query = "&".join(f"{short}={getattr(self, name)}" for short, name in _QUERY.items())
        return f"{_URI_START}{query}"


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """All that is printed on one device: maker, model, hardware revision, and its claim.

    Raises `Rejected("label")` where a part has not its form.
    """

    maker: str
    model: str
    hardware_revision: str
    serial: str
    claim_code: str
    support_contact: str
    root_pin: str

    def __post_init__(self) -> None:
        _check(self)

    def __repr__(self) -> str:
        return f"Label(model={self.model!r}, serial={self.serial!r}, claim_code=<secret>)"

    def uri(self) -> str:
        """The text of the QR code, which `parse_label_uri` reads back."""
        claim = LabelClaim(serial=self.serial, claim_code=self.claim_code, root_pin=self.root_pin)
        return claim.uri()


def parse_label_uri(text: str) -> LabelClaim:
    """What a scanned QR code says. Raises `Rejected("label")` for anything else."""
    if len(text) > MAX_URI_LENGTH or not text.startswith(_URI_START):
        raise _not_a_label("it is not a limpet label")
    parts: dict[str, str] = {}
    for pair in text.removeprefix(_URI_START).split("&"):
        short, _, value = pair.partition("=")
        name = _QUERY.get(short)
        if name is None or name in parts:
            raise _not_a_label("it has a part that is unknown or given twice")
        parts[name] = value
    if len(parts) != len(_QUERY):
        raise _not_a_label("a part is missing")
    return LabelClaim(**parts)


def _check(part: "Label | LabelClaim") -> None:
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if not isinstance(value, str) or not _FORMS[name].fullmatch(value):
            raise Rejected(
                "label",
                f"the label's {name.replace('_', ' ')} has not the right form",
                hint="see docs/product-file.md, section The label",
            )


def _not_a_label(why: str) -> Rejected:
    return Rejected(
        "label", f"the code cannot be read: {why}", hint="scan the device's label again"
    )
