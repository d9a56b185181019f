"""A person's Ed25519 key in a PKCS#11 token: found by a URI (RFC 7512), made there, signing there.

Owns the way from `pkcs11:token=…;object=…` to a signature. The private key never leaves the token,
and a PIN is never part of a URI. Tokens know no ML-DSA yet (PKCS #11 3.2 names it, no module here
has it): a key of that family is a file.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from limpet.crypto.cryptoki import PRIVATE_KEY, PUBLIC_KEY, YES, Attribute, Session, ulong
from limpet.errors import Rejected, Unavailable, naming

__all__ = [
    "MODULE_VARIABLE",
    "TokenKey",
    "TokenPlace",
    "is_token_uri",
    "make_token_key",
    "open_token_key",
    "parse_token_uri",
]

MODULE_VARIABLE = "LIMPET_PKCS11_MODULE"
"""The module of a URI that names none."""

_EDWARDS, _EDWARDS_PAIR_GEN, _EDDSA = 0x40, 0x1055, 0x1057
_ED25519: Final = bytes.fromhex("06032b6570")  # 1.3.101.112, DER
_POINT_BYTES = 32
_HINT = "write it as pkcs11:token=LABEL;object=NAME?module-path=/path/to/module.so"
_TEXT = re.compile(r"[^\0]{1,32}")

Pin = Callable[[str], bytes]
"""Asks for the PIN of the token that is named."""


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """Where a key is: a module, the token's label, the label of the key's two halves."""

    module: str
    token: str
    name: str


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key in a token. `sign` opens the token, signs, and closes it."""

    place: TokenPlace
    public_key: Ed25519PublicKey
    pin: Pin

    def sign(self, data: bytes) -> bytes:
        """The signature of Ed25519 (RFC 8032) over `data`. Raises `Rejected`, `Unavailable`."""
        with _opened(self.place, self.pin) as session:
            return session.sign_by(_EDDSA, _one(session, self.place, PRIVATE_KEY), data)


def is_token_uri(text: str) -> bool:
    """Whether `text` names a key in a token."""
    return text.startswith("pkcs11:")


def parse_token_uri(text: str) -> TokenPlace:
    """The place that a person typed. Raises `Rejected("bad-key-uri")`, for a PIN in it too."""
    path, _, query = text.removeprefix("pkcs11:").partition("?")
    given = dict(part.split("=", 1) for part in path.split(";") if "=" in part)
    asked = parse_qs(query)
    if "pin-value" in asked or "pin-source" in asked or {"pin-value", "pin-source"} & set(given):
        raise Rejected(
            "bad-key-uri",
            "a PIN does not belong on a command line",
            hint="it is asked for, or taken from the variable of --pin-env",
        )
    unknown = (set(given) - {"token", "object"}) | (set(asked) - {"module-path"})
    if unknown:
        raise Rejected("bad-key-uri", f"{min(unknown)[:32]!r} is not understood", hint=_HINT)
    module = asked.get("module-path", [os.environ.get(MODULE_VARIABLE, "")])[0]
    token, name = (unquote(given.get(part, "")) for part in ("token", "object"))
    if not (_TEXT.fullmatch(token) and _TEXT.fullmatch(name)):
        raise Rejected("bad-key-uri", "token and object are needed, of 1 to 32 bytes", hint=_HINT)
    if not module.startswith("/"):
        raise Rejected("bad-key-uri", "the module's absolute path is missing", hint=_HINT)
    return TokenPlace(module, token, name)


def open_token_key(place: TokenPlace, pin: Pin) -> TokenKey:
    """The key that is there. Raises `Unavailable`, `Rejected("wrong-pin" | "weak-key" | …)`."""
    pin = _remembering(pin)
    with _opened(place, pin) as session:
        return TokenKey(place, _public_half(session, place), pin)


def make_token_key(place: TokenPlace, pin: Pin) -> TokenKey:
    """A new key, made in the token and never extractable.

    Raises `Rejected("key-exists")` where the name is taken, `Rejected("weak-token")` for a token
    that could hand it out, and as `open_token_key`.
    """
    pin = _remembering(pin)
    with _opened(place, pin) as session:
        name = place.name.encode()
        if session.find(((Attribute.LABEL, name),)):
            raise Rejected("key-exists", f"token {place.token!r} has {place.name!r} already")
        both = ((Attribute.TOKEN, YES), (Attribute.ID, name), (Attribute.LABEL, name))
        public = (*both, (Attribute.EC_PARAMS, _ED25519), (Attribute.VERIFY, YES))
        session.generate_pair(_EDWARDS_PAIR_GEN, public, (*both, (Attribute.SIGN, YES)))
        return TokenKey(place, _public_half(session, place), pin)


def _public_half(session: Session, place: TokenPlace) -> Ed25519PublicKey:
    handle = _one(session, place, PUBLIC_KEY)
    kind = int.from_bytes(session.read(handle, Attribute.KEY_TYPE), "little")
    point = session.read(handle, Attribute.EC_POINT)
    # An OCTET STRING around the point (PKCS #11 3.1, 6.3.5); some modules leave it out.
    raw = point[2:] if point[:2] == bytes((0x04, _POINT_BYTES)) else point
    if kind != _EDWARDS or len(raw) != _POINT_BYTES:
        raise Rejected("weak-key", f"{place.name!r} in token {place.token!r} is no Ed25519 key")
    return Ed25519PublicKey.from_public_bytes(raw)


def _one(session: Session, place: TokenPlace, kind: int) -> int:
    wanted = ((Attribute.CLASS, ulong(kind)), (Attribute.LABEL, place.name.encode()))
    found = session.find(wanted)
    if len(found) != 1:
        half = "private" if kind == PRIVATE_KEY else "public"
        raise Unavailable(
            f"token {place.token!r} holds {len(found)} {half} keys named {place.name!r}, not one"
        )
    return found[0]


@contextmanager
def _opened(place: TokenPlace, pin: Pin) -> Iterator[Session]:
    session = Session(place.module, place.token)
    try:
        if not session.exists():
            raise Unavailable(f"there is no token {place.token!r}", hint="is it plugged in?")
        with naming(f"token {place.token!r}"):  # what the module refuses names the token
            session.open(pin(place.token))
        yield session
    finally:
        session.close()


def _remembering(pin: Pin) -> Pin:
    """Asks once: a person types a PIN for a command, not for each signature."""
    known: dict[str, bytes] = {}

    def ask(token: str) -> bytes:
        if token not in known:
            known[token] = pin(token)
        return known[token]

    return ask
