"""Weak keys and certificates are found in any file; those of today's strength are not."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from limpet.crypto.weakness import find_weak_keys

WEAK = 1024  # bits
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def public(key: object) -> bytes:
    return key.public_key().public_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def certificate(key: ec.EllipticCurvePrivateKey, digest: hashes.HashAlgorithm) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(1))
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: public(rsa.generate_private_key(65537, WEAK)), "an RSA key of 1024 bits"),
        (lambda: public(ec.generate_private_key(ec.SECP192R1())), "a key on secp192r1"),
        (lambda: public(dsa.generate_private_key(2048)), "a DSA key"),
        (
            lambda: json.dumps(public(rsa.generate_private_key(65537, WEAK)).decode()).encode(),
            "an RSA key of 1024 bits",
        ),
        (
            lambda: b"\x7fELF" + public(rsa.generate_private_key(65537, WEAK)) + b"\0",
            "an RSA key of 1024 bits",
        ),
        (
            lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "a key or certificate that cannot be read",
        ),
    ],
)
def test_what_is_weak_is_named(make: Callable[[], bytes], what: str) -> None:
    assert list(find_weak_keys(make())) == [what]


@pytest.mark.parametrize(
    "make",
    [
        lambda: public(rsa.generate_private_key(65537, 2048)),
        lambda: public(ec.generate_private_key(ec.SECP256R1())),
        lambda: public(ed25519.Ed25519PrivateKey.generate()),
        lambda: certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()),
        lambda: b"",
        lambda: b"-----BEGIN CERTIFICATE-----",
    ],
)
def test_what_is_strong_is_left_alone(make: Callable[[], bytes]) -> None:
    assert list(find_weak_keys(make())) == []
