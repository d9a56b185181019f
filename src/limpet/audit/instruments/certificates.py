"""Certificates (RFC 5280) as the audit describes them.

Owns the reading of what a peer or a file shows, trusted or not. Must never be
used to decide trust: `limpet.crypto.chains` does that.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID

from limpet.errors import LimpetError, Rejected
from limpet.storage import read_bounded

__all__ = ["Shown", "describe_chain", "describe_pem", "private_keys_below", "public_key_sha256"]

MAX_PEM = 64 << 10
MAX_FILES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One certificate."""

    common_name: str
    serial: str  # the device's serial number in the subject (IEEE 802.1AR 8.6), or empty
    issuer: str
    is_self_signed: bool
    key: str  # "ec secp256r1", "rsa 2048", "ed25519"
    key_bits: int  # of classical strength, NIST SP 800-57 part 1, table 2
    key_sha256: str  # of SubjectPublicKeyInfo
    signature_hash: str  # "sha256", or "" where the algorithm hashes inside
    not_before: datetime
    not_after: datetime
    der_sha256: str


def describe_chain(chain: tuple[bytes, ...]) -> tuple[Shown, ...]:
    """Each DER certificate described. Raises `Rejected("bad-certificate")`."""
    try:
        return tuple(_describe(x509.load_der_x509_certificate(der)) for der in chain)
    except ValueError as error:
        raise Rejected("bad-certificate", "the peer showed what is not a certificate") from error


def describe_pem(pem: bytes) -> tuple[Shown, ...]:
    """Each certificate in `pem` described. Raises `Rejected("bad-certificate")`."""
    try:
        return tuple(_describe(one) for one in x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise Rejected("bad-certificate", "not a certificate in PEM") from error


def private_keys_below(directory: Path) -> dict[str, Path]:
    """Every private key in a PEM file below `directory`, by its public key's hash.

    Keys under a passphrase are listed by their path alone ("locked:…").
    """
    found: dict[str, Path] = {}
    for number, path in enumerate(sorted(directory.rglob("*"))):
        if number >= MAX_FILES:
            raise Rejected("too-large", f"more than {MAX_FILES} files below {directory}")
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_PEM:
            continue
        try:
            data = read_bounded(path, max_bytes=MAX_PEM)
        except LimpetError:
            continue
        if b"PRIVATE KEY-----" not in data:
            continue
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (TypeError, ValueError):
            found[f"locked:{path}"] = path
            continue
        found[public_key_sha256(key.public_key())] = path
    return found


def public_key_sha256(key: object) -> str:
    """SHA-256 of the SubjectPublicKeyInfo."""
    der = key.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def _describe(certificate: x509.Certificate) -> Shown:
    key = certificate.public_key()
    name, bits = _strength(key)
    hashed = certificate.signature_hash_algorithm
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Shown(
        common_name=_named(certificate, NameOID.COMMON_NAME),
        serial=_named(certificate, NameOID.SERIAL_NUMBER),
        issuer=certificate.issuer.rfc4514_string(),
        is_self_signed=certificate.issuer == certificate.subject,
        key=name,
        key_bits=bits,
        key_sha256=public_key_sha256(key),
        signature_hash=hashed.name if hashed else "",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        der_sha256=hashlib.sha256(der).hexdigest(),
    )


def _strength(key: object) -> tuple[str, int]:
    match key:
        case ec.EllipticCurvePublicKey():
            return f"ec {key.curve.name}", key.curve.key_size // 2
        case ed25519.Ed25519PublicKey():
            return "ed25519", 128
        case ed448.Ed448PublicKey():
            return "ed448", 224
        case rsa.RSAPublicKey():
            size = key.key_size
            table = ((15360, 256), (7680, 192), (3072, 128), (2048, 112), (1024, 80))
            return f"rsa {size}", next((bits for least, bits in table if size >= least), 0)
    return type(key).__name__, 0


def _named(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> str:
    values = certificate.subject.get_attributes_for_oid(oid)
    return str(values[0].value) if values else ""
