"""Retiring an algorithm is a new suite, and it is refused from then on (R2.1.2, R2.1.4)."""

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from msgspec.structs import replace

from limpet.crypto.certificates import issue_device_identity, make_intermediate, make_root
from limpet.crypto.chains import verify_chain
from limpet.crypto.keys import (
    generate_key,
    generate_signing_key,
    key_to_pem,
    signing_key_from_pem,
)
from limpet.crypto.policy import verify_firmware_schemes, verify_key
from limpet.crypto.requests import Purpose, device_subject, make_request, verify_request
from limpet.crypto.suites import CURRENT, Suite
from limpet.errors import Rejected

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def later(**rules: object) -> Suite:
    """The suite in force with other rules for certificates."""
    return replace(CURRENT, version=9, certificates=replace(CURRENT.certificates, **rules))


WITHOUT_P256 = later(curves=("secp384r1",))
WITHOUT_SHA256 = later(hashes=("sha384",))


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048).public_key(),
        dsa.generate_private_key(3072).public_key(),
        ec.generate_private_key(ec.SECP192R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        ed448.Ed448PrivateKey.generate().public_key(),
    ],
    ids=["rsa-2048", "dsa-3072", "p-192", "secp256k1", "ed448"],
)
def test_a_key_that_no_suite_names_is_refused(key: PublicKeyTypes) -> None:
    with pytest.raises(Rejected) as refusal:
        verify_key(key)
    assert refusal.value.reason == "weak-key"


@pytest.mark.parametrize(
    "scheme",
    ["rsassa-pss-sha256", "ecdsa-sha2-nistp256", "ml-dsa-44/1", "Ed25519", "", "x" * 9000],
)
def test_a_firmware_key_of_another_scheme_is_refused(scheme: str) -> None:
    families = CURRENT.firmware.offline
    verify_firmware_schemes(["ed25519"], what="root", families=families)
    with pytest.raises(Rejected) as refusal:
        verify_firmware_schemes(["ed25519", scheme], what="root", families=families)
    assert refusal.value.reason == "weak-key"
    assert len(refusal.value.message) < 200


def test_a_signing_key_that_a_later_suite_retires_signs_no_more() -> None:
    pem = key_to_pem(generate_signing_key())
    families = (("ml-dsa-65/1",),)
    rules = replace(CURRENT.firmware, offline=families, online=families)
    signing_key_from_pem(pem)
    with pytest.raises(Rejected) as refusal:
        signing_key_from_pem(pem, suite=replace(CURRENT, firmware=rules))
    assert refusal.value.reason == "weak-key"


def test_a_request_signed_over_a_weak_hash_is_refused() -> None:
    """SHA-224 stands for all of them: the library makes no SHA-1 signature any more."""
    subject = device_subject("thermostat", "TH-0001")
    csr = x509.CertificateSigningRequestBuilder(subject).sign(generate_key(), hashes.SHA224())
    with pytest.raises(Rejected) as refusal:
        verify_request(csr.public_bytes(serialization.Encoding.PEM))
    assert refusal.value.reason == "weak-signature"


@pytest.mark.parametrize(
    ("suite", "reason"), [(WITHOUT_P256, "weak-key"), (WITHOUT_SHA256, "weak-signature")]
)
def test_what_a_later_suite_retires_is_refused_where_it_was_accepted(
    suite: Suite, reason: str
) -> None:
    root = make_root("device root", now=NOW)
    factory = make_intermediate(root, "factory", now=NOW)
    asked = make_request(
        generate_key(), model="thermostat", serial="TH-0001", purpose=Purpose.CLIENT
    )
    pem = issue_device_identity(factory, verify_request(asked), now=NOW)
    roots = root.certificate_pem()
    verify_chain(pem, roots, now=NOW, purpose=Purpose.CLIENT)
    with pytest.raises(Rejected) as of_request:
        verify_request(asked, suite=suite)
    with pytest.raises(Rejected) as of_chain:
        verify_chain(pem, roots, now=NOW, purpose=Purpose.CLIENT, suite=suite)
    assert (of_request.value.reason, of_chain.value.reason) == (reason, reason)


def test_a_chain_below_a_root_of_a_retired_curve_is_refused() -> None:
    """All that is shown is sound; the root, which nobody shows, is not."""
    root = make_root("device root", now=NOW)
    request = make_request(
        ec.generate_private_key(ec.SECP384R1()), model="m", serial="S-1", purpose=Purpose.CLIENT
    )
    pem = issue_device_identity(root, verify_request(request), now=NOW)
    roots = root.certificate_pem()
    verify_chain(pem, roots, now=NOW, purpose=Purpose.CLIENT)
    with pytest.raises(Rejected) as refusal:
        verify_chain(pem, roots, now=NOW, purpose=Purpose.CLIENT, suite=WITHOUT_P256)
    assert refusal.value.reason == "weak-key"
