"""Device certificates: only what was requested, only from a trusted root, only within the suite."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from limpet.crypto.certificates import (
    issue_device_identity,
    issue_operational,
    issue_service,
    load_issuer,
    make_intermediate,
    make_root,
)
from limpet.crypto.chains import load_certificates, verify_chain
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.crypto.requests import Purpose, device_subject, make_request, verify_request
from limpet.crypto.tls import client_context, server_context
from limpet.errors import Misuse, Rejected

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROOT = make_root("device root", now=NOW)
FACTORY = make_intermediate(ROOT, "factory", now=NOW)


def request(purpose: Purpose = Purpose.CLIENT, serial: str = "TH-0001") -> bytes:
    return make_request(generate_key(), model="thermostat", serial=serial, purpose=purpose)


def identity(serial: str = "TH-0001") -> bytes:
    return issue_device_identity(FACTORY, verify_request(request(serial=serial)), now=NOW)


def test_an_identity_chains_to_its_root_and_names_the_device() -> None:
    chain = verify_chain(identity(), ROOT.certificate_pem(), now=NOW, purpose=Purpose.CLIENT)
    assert (chain.model, chain.serial) == ("thermostat", "TH-0001")


def test_an_identity_never_expires() -> None:
    in_a_century = NOW.replace(year=2126)
    leaf = x509.load_pem_x509_certificates(identity())[0]
    assert leaf.not_valid_after_utc > in_a_century


def test_a_chain_to_another_root_of_the_same_name_is_refused() -> None:
    other = make_root("device root", now=NOW)
    with pytest.raises(Rejected) as refusal:
        verify_chain(identity(), other.certificate_pem(), now=NOW, purpose=Purpose.CLIENT)
    assert refusal.value.reason == "bad-certificate"


def test_an_expired_operational_certificate_is_refused() -> None:
    pem = issue_operational(
        FACTORY, verify_request(request()), now=NOW, lifetime=timedelta(days=30)
    )
    roots = ROOT.certificate_pem()
    verify_chain(pem, roots, now=NOW + timedelta(days=29), purpose=Purpose.CLIENT)
    with pytest.raises(Rejected):
        verify_chain(pem, roots, now=NOW + timedelta(days=31), purpose=Purpose.CLIENT)


def test_a_client_certificate_does_not_serve() -> None:
    with pytest.raises(Rejected) as refusal:
        verify_chain(identity(), ROOT.certificate_pem(), now=NOW, purpose=Purpose.SERVER)
    assert refusal.value.reason == "wrong-purpose"


def test_a_device_cannot_act_as_an_authority() -> None:
    device_key = generate_key()
    own = make_request(device_key, model="thermostat", serial="TH-0001", purpose=Purpose.CLIENT)
    pem = issue_device_identity(FACTORY, verify_request(own), now=NOW)
    rogue = load_issuer(pem, key_to_pem(device_key))
    forged = issue_device_identity(rogue, verify_request(request(serial="TH-0002")), now=NOW)
    with pytest.raises(Rejected) as refusal:
        verify_chain(forged + pem, ROOT.certificate_pem(), now=NOW, purpose=Purpose.CLIENT)
    assert refusal.value.reason == "bad-certificate"


def test_a_request_that_another_key_signed_is_refused() -> None:
    der = x509.load_pem_x509_csr(request()).public_bytes(serialization.Encoding.DER)
    broken = bytearray(der)
    broken[-1] ^= 1
    with pytest.raises(Rejected) as refusal:
        verify_request(_pem(bytes(broken)))
    assert refusal.value.reason in {"bad-signature", "malformed-request"}


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP192R1()),
        rsa.generate_private_key(65537, 3072),
    ],
    ids=["rsa-2048", "p-192", "rsa-3072-is-not-a-device-key"],
)
def test_a_request_with_a_weak_key_is_refused(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    subject = device_subject("thermostat", "TH-0001")
    csr = x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256())
    with pytest.raises(Rejected) as refusal:
        verify_request(csr.public_bytes(serialization.Encoding.PEM))
    assert refusal.value.reason == "weak-key"


def test_a_request_for_a_foreign_host_name_is_refused() -> None:
    csr = (
        x509.CertificateSigningRequestBuilder(device_subject("thermostat", "TH-0001"))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("bank.example")]), critical=False)
        .sign(generate_key(), hashes.SHA256())
    )
    with pytest.raises(Rejected) as refusal:
        verify_request(csr.public_bytes(serialization.Encoding.PEM))
    assert refusal.value.reason == "malformed-request"


def test_a_request_with_two_serial_numbers_is_refused() -> None:
    names = [
        x509.NameAttribute(NameOID.COMMON_NAME, "thermostat"),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, "TH-0001"),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, "TH-0002"),
    ]
    csr = x509.CertificateSigningRequestBuilder(x509.Name(names)).sign(
        generate_key(), hashes.SHA256()
    )
    with pytest.raises(Rejected):
        verify_request(csr.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize("junk", [b"", b"junk", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"])
def test_junk_is_a_malformed_request(junk: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        verify_request(junk)
    assert refusal.value.reason == "malformed-request"


def test_tls_1_2_is_refused_in_both_directions() -> None:
    key = generate_key()
    pem = issue_service(FACTORY, key, hostnames=["vendor.example"], now=datetime.now(UTC))
    server = server_context(pem, key)
    client = client_context(roots_pem=ROOT.certificate_pem())
    old_client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old_client.load_verify_locations(cadata=ROOT.certificate_pem().decode())
    old_client.maximum_version = ssl.TLSVersion.TLSv1_2
    old_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old_server.maximum_version = ssl.TLSVersion.TLSv1_2
    assert _handshake(client, server) == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        _handshake(old_client, server)
    with pytest.raises(ssl.SSLError):
        _handshake(client, old_server)


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> str | None:
    """A whole handshake in memory; the version that was agreed."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="vendor.example")
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        done = 0
        for side in (near, far):
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                pass
        if done == 2:
            return near.version()
    raise AssertionError("the handshake did not end")


def _pem(der: bytes) -> bytes:
    return ssl.DER_cert_to_PEM_cert(der).replace("CERTIFICATE", "CERTIFICATE REQUEST").encode()


def test_an_identity_says_where_the_network_finds_what_the_device_needs() -> None:
    """RFC 8520, 11: id-pe-mud-url, an IA5String, not critical."""
    for url in ("https://vendor.example.com/mud/thermostat.json", f"https://v.example/{'m' * 300}"):
        pem = issue_device_identity(FACTORY, verify_request(request()), now=NOW, mud_url=url)
        leaf = load_certificates(pem)[0]
        found = leaf.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.25"))
        assert isinstance(found.value, x509.UnrecognizedExtension)
        assert found.critical is False
        assert _parse(found.value.value) == url
        verify_chain(pem, ROOT.certificate_pem(), now=NOW, purpose=Purpose.CLIENT)
    with pytest.raises(Misuse):
        issue_device_identity(FACTORY, verify_request(request()), now=NOW, mud_url="https://ü")


def _parse(der: bytes) -> str:
    """The IA5String (tag 22), its length in one byte, or in as many as the first says."""
    assert der[0] == 22
    more = der[1] & 0x7F if der[1] & 0x80 else 0
    length = int.from_bytes(der[2 : 2 + more], "big") if more else der[1]
    assert len(der) == 2 + more + length
    return der[2 + more :].decode("ascii")
