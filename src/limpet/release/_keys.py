"""A signer's keys: files under a passphrase, keys in tokens, and their public halves as files.

Owns how a key is named on a command line and opened, and how one is made. A key id is TUF's own:
the SHA-256 of the canonical public key, which two people compare over the telephone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, Key, Signature, Signer, SSlibKey
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization import DeserializationError

from limpet.crypto.keys import generate_signing_key, key_to_pem, signing_key_from_pem
from limpet.crypto.suites import Suite
from limpet.crypto.token_keys import (
    TokenKey,
    is_token_uri,
    make_token_key,
    open_token_key,
    parse_token_uri,
)
from limpet.errors import Rejected, Unavailable, naming
from limpet.storage import read_bounded, write_atomic
from limpet.wire.metadata import ROLE_BYTES

__all__ = [
    "PASSPHRASE_BYTES",
    "MadeKey",
    "Secret",
    "TokenSigner",
    "fingerprint",
    "load_public_key",
    "make_key",
    "open_signer",
    "public_file_of",
    "public_pem",
    "roles_naming",
]

PASSPHRASE_BYTES = 15
"""Least length of a passphrase: NIST SP 800-63B-4's for a secret that stands alone."""

_KEY_BYTES = 16 << 10
_PUBLIC = ".pub.pem"
_SCHEMES = {"ed25519": ed25519.Ed25519PublicKey, "ml-dsa-65/1": mldsa.MLDSA65PublicKey}

S = TypeVar("S", Root, Targets)

Secret = Callable[[str], bytes | None]
"""The passphrase of a file, or the PIN of a token, by its name; None if there is none to be had."""


class TokenSigner(Signer):
    """A key in a token, as python-tuf signs with it."""

    def __init__(self, key: TokenKey) -> None:
        self._key = key
        self._public_key = SSlibKey.from_crypto(key.public_key)

    @property
    def public_key(self) -> SSlibKey:
        """The public half."""
        return self._public_key

    def sign(self, payload: bytes) -> Signature:
        """A signature by the token. Raises `Rejected`, `Unavailable`."""
        return Signature(self._public_key.keyid, self._key.sign(payload).hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: object = None
    ) -> "TokenSigner":
        """Not used: `open_signer` opens a token."""
        raise NotImplementedError


def open_signer(place: str, *, passphrase: Secret, pin: Secret, suite: Suite | None) -> Signer:
    """The signer at `place`: a PEM file, or a `pkcs11:` URI.

    Raises `Rejected` (bad-key, weak-key, wrong-pin, bad-key-uri) naming the place, `Unavailable`.
    """
    if is_token_uri(place):
        return TokenSigner(open_token_key(parse_token_uri(place), _needed(pin)))
    pem = read_bounded(Path(place), max_bytes=_KEY_BYTES)
    secret = passphrase(Path(place).name) if b"ENCRYPTED" in pem else None
    with naming(place):
        return CryptoSigner(signing_key_from_pem(pem, passphrase=secret, suite=suite))


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A new key: its public half, and the file that this was written to."""

    key: SSlibKey
    public: Path | None


def make_key(
    place: str,
    scheme: str,
    *,
    passphrase: bytes | None,
    pin: Secret,
    public: Path | None = None,
) -> MadeKey:
    """Make a key at `place`, a new file or a `pkcs11:` URI. Its public half goes into `public`, by
    default beside a file. Never overwrites a key. Raises `Rejected`, `Unavailable`.
    """
    if is_token_uri(place):
        if scheme != "ed25519":
            raise Rejected("weak-token", "tokens make Ed25519 keys only; ML-DSA is a file")
        made = make_token_key(parse_token_uri(place), _needed(pin))
        token_key = SSlibKey.from_crypto(made.public_key)
        if public is not None:
            write_atomic(public, public_pem(token_key), mode=0o644)
        return MadeKey(token_key, public)
    file = Path(place)
    public = public or public_file_of(file)
    for one in (file, public):
        if one.exists():
            raise Unavailable(f"{one} exists", hint="choose another name")
    if passphrase is not None and len(passphrase) < PASSPHRASE_BYTES:
        raise Rejected(
            "weak-passphrase",
            f"a passphrase has at least {PASSPHRASE_BYTES} characters",
            hint="six words that a die has chosen are a good one",
        )
    if scheme not in _SCHEMES:
        raise Rejected("weak-key", f"{scheme[:32]!r} is none of {', '.join(_SCHEMES)}")
    key = generate_signing_key(scheme)
    write_atomic(file, key_to_pem(key, passphrase=passphrase))
    found = SSlibKey.from_crypto(key.public_key())
    write_atomic(public, public_pem(found), mode=0o644)
    return MadeKey(found, public)


def public_pem(key: Key) -> bytes:
    """A public key as PEM (SubjectPublicKeyInfo), which `load_public_key` reads."""
    value = str(key.keyval["public"])
    if value.startswith("-----BEGIN"):
        return value.encode()
    raw = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(value))
    return raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def roles_naming(keyid: str, repository: Path) -> tuple[str, ...]:
    """The roles whose newest delegation in `repository` names the key, as the files there say:
    nothing is verified. Raises `Unavailable`.
    """
    root = _newest(repository, "root", Root)
    targets = _newest(repository, "targets", Targets)
    delegations = targets.delegations
    roles = {**root.roles, **((delegations.roles if delegations else None) or {})}
    return tuple(role for role, named in roles.items() if keyid in named.keyids)


def _newest(repository: Path, role: str, kind: type[S]) -> S:
    files = (repository / "metadata").glob(f"*.{role}.json")
    versions = [int(number) for file in files if (number := file.name.split(".")[0]).isdigit()]
    if not versions:
        raise Unavailable(f"{repository} has no {role}", hint="name public/repository")
    file = repository / "metadata" / f"{max(versions)}.{role}.json"
    with naming(file):
        try:
            signed = Metadata.from_bytes(read_bounded(file, max_bytes=ROLE_BYTES)).signed
        except DeserializationError as error:
            raise Rejected("malformed", "this is not TUF metadata") from error
        if not isinstance(signed, kind):
            raise Rejected("malformed", f"this is not metadata of {role}")
    return signed


def public_file_of(file: Path) -> Path:
    """The file of the public half: `name.pub.pem` beside `name.pem`."""
    return file.with_name(file.name.removesuffix(".pem") + _PUBLIC)


def load_public_key(file: Path) -> SSlibKey:
    """The public key in a PEM file. Raises `Rejected("bad-key")`, `Unavailable`."""
    pem = read_bounded(file, max_bytes=_KEY_BYTES)
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Rejected(
            "bad-key", f"{file} is not a public key in PEM", hint="name a .pub.pem file"
        ) from error
    if not isinstance(key, tuple(_SCHEMES.values())):
        raise Rejected("weak-key", f"{file} holds no key that signs firmware: Ed25519 or ML-DSA-65")
    return SSlibKey.from_crypto(key)


def fingerprint(keyid: str) -> str:
    """A key id in groups of four, as people read it to each other."""
    return " ".join(keyid[at : at + 4] for at in range(0, len(keyid), 4))


def _needed(pin: Secret) -> Callable[[str], bytes]:
    def ask(token: str) -> bytes:
        found = pin(token)
        if found is None:
            raise Unavailable(f"token {token!r} needs its PIN")
        return found

    return ask
