"""The device's judgement of a chain that an owner brings, attacked one property at a time."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.needs import need

from limpet.crypto.certificates import Issuer, issue_household, make_household, make_root
from limpet.crypto.household import LONGEST_LIFE, verify_constrained, verify_household
from limpet.crypto.keys import generate_key
from limpet.crypto.names import HOME_NETWORKS, parse_networks, verify_home_address, verify_home_name
from limpet.crypto.requests import Purpose, device_subject, make_request, verify_request
from limpet.errors import Misuse, Rejected

NOW = datetime(2026, 11, 1, tzinfo=UTC)
KEY = generate_key()
SERIAL = "TH-1"
HOUSEHOLD = make_household("limpet household of owner", networks=HOME_NETWORKS, now=NOW)


def issue(
    household: Issuer = HOUSEHOLD,
    *,
    serial: str = SERIAL,
    days: float = 180,
    hosts: tuple[str, ...] = ("th-1.local", "th-1.home.arpa"),
    addresses: tuple[str, ...] = ("192.168.1.5", "fe80::1"),
) -> bytes:
    csr = make_request(KEY, model="thermostat", serial=serial, purpose=Purpose.SERVER)
    return issue_household(
        household, verify_request(csr), now=NOW, lifetime=timedelta(days=days),
        hostnames=hosts, addresses=addresses,
    )  # fmt: skip


def forge(
    *, authority: bool = False, usages: tuple[x509.ObjectIdentifier, ...] = (
        ExtendedKeyUsageOID.SERVER_AUTH,
    ), signer: ec.EllipticCurvePrivateKey = HOUSEHOLD.key, names: tuple[x509.GeneralName, ...] = (
        x509.DNSName("th-1.local"),
    ), hash_: hashes.HashAlgorithm | None = None,
) -> bytes:  # fmt: skip
    """A leaf that limpet's own issuer would not make."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(device_subject("thermostat", SERIAL))
        .issuer_name(HOUSEHOLD.certificate.subject)
        .public_key(KEY.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(HOUSEHOLD.key.public_key()),
            critical=False,
        )
    )
    leaf = builder.sign(signer, hash_ or hashes.SHA256())
    return leaf.public_bytes(serialization.Encoding.PEM) + HOUSEHOLD.certificate_pem()


def refused(chain: bytes) -> str:
    with pytest.raises(Rejected) as caught:
        verify_household(chain, key=KEY.public_key(), serial=SERIAL)
    return caught.value.reason


def test_a_households_certificate_is_taken_and_says_its_names_and_end() -> None:
    found = verify_household(issue(), key=KEY.public_key(), serial=SERIAL)
    assert found.hostnames == ("th-1.local", "th-1.home.arpa")
    assert found.addresses == ("192.168.1.5", "fe80::1")
    assert found.not_after == NOW + timedelta(days=180)
    forged = verify_household(forge(), key=KEY.public_key(), serial=SERIAL)  # the control
    assert forged.hostnames == ("th-1.local",)


def test_a_certificate_for_another_key_or_another_device_is_refused() -> None:
    assert refused(issue(serial="TH-2")) == "wrong-certificate"
    other = generate_key().public_key()
    with pytest.raises(Rejected, match="another key"):
        verify_household(issue(), key=other, serial=SERIAL)


@pytest.mark.parametrize(
    ("hosts", "addresses"),
    [
        (("example.com",), ()),
        (("th-1.local", "evil.example.com"), ()),
        (("th-1.local.example.com",), ()),
        (("*.local",), ()),
        (("local",), ()),
        (("home.arpa",), ()),
        (("th-1.arpa",), ()),
        (("th-1.local",), ("8.8.8.8",)),
        (("th-1.local",), ("2001:4860:4860::8888",)),
        (tuple(f"a{n}.local" for n in range(17)), ()),
        ((), ("10.0.0.1",)),
    ],
)
def test_a_name_that_no_home_has_is_refused(
    hosts: tuple[str, ...], addresses: tuple[str, ...]
) -> None:
    assert refused(issue(hosts=hosts, addresses=addresses)) == "foreign-name"


def test_another_kind_of_name_is_refused() -> None:
    names = (x509.DNSName("th-1.local"), x509.RFC822Name("owner@example.com"))
    assert refused(forge(names=names)) == "foreign-name"


def test_an_authority_and_a_client_and_a_jack_of_all_trades_are_refused() -> None:
    assert refused(forge(authority=True)) == "wrong-purpose"
    assert refused(forge(usages=(ExtendedKeyUsageOID.CLIENT_AUTH,))) == "wrong-purpose"
    both = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING)
    assert refused(forge(usages=both)) == "wrong-purpose"


def test_a_life_longer_than_browsers_bear_is_refused() -> None:
    assert refused(issue(days=LONGEST_LIFE.days)) == "bad-certificate"  # it begins an hour ago
    shorter = issue(days=LONGEST_LIFE.days - 1)
    assert verify_household(shorter, key=KEY.public_key(), serial=SERIAL)


def test_a_signature_of_another_key_or_a_weak_one_is_refused() -> None:
    assert refused(forge(signer=generate_key())) == "bad-certificate"
    weak = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    authority = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(weak.public_key()).serial_number(1).not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=9)).sign(weak, hashes.SHA256())
    )  # fmt: skip
    leaf = issue().partition(b"-----END CERTIFICATE-----\n")
    pem = authority.public_bytes(serialization.Encoding.PEM)
    assert refused(leaf[0] + leaf[1] + pem) == "weak-key"


@pytest.mark.parametrize("chain", [b"", b"no certificate", issue() * 2, b"x" * (17 << 10)])
def test_what_is_no_pair_of_certificates_is_refused(chain: bytes) -> None:
    assert refused(chain) == "bad-certificate"


def test_a_household_speaks_for_a_home_and_nobody_else() -> None:
    verify_constrained(HOUSEHOLD.certificate)
    with pytest.raises(Misuse):
        make_household("x", networks=(), now=NOW)
    with pytest.raises(Rejected) as caught:
        verify_constrained(make_root("any root", now=NOW).certificate)
    assert caught.value.reason == "unconstrained"


@pytest.mark.parametrize(
    "permitted",
    [
        [x509.DNSName("local")],  # every address would be free
        [x509.IPAddress(HOME_NETWORKS[0])],  # every name would be
        [x509.DNSName("com"), x509.IPAddress(HOME_NETWORKS[0])],
        [x509.DNSName("local"), x509.IPAddress(parse_networks(["10.0.0.0/8"])[0].supernet())],
    ],
    ids=["names-only", "addresses-only", "com", "wide-network"],
)
def test_a_household_that_could_speak_for_others_is_not_trusted(
    permitted: list[x509.GeneralName],
) -> None:
    key = generate_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "household")])
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(1).not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=9))
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(x509.NameConstraints(permitted, None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([Purpose.SERVER.oid]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    with pytest.raises(Rejected) as caught:
        verify_constrained(certificate)
    assert caught.value.reason in ("unconstrained", "foreign-name")


def test_openssl_holds_the_household_to_its_constraints(tmp_path: Path) -> None:
    """A foreign verifier: the constraint must not rest on our own reading of it."""
    need("openssl", package="openssl", untried="no foreign verifier was asked")
    root = tmp_path / "root.pem"
    root.write_bytes(HOUSEHOLD.certificate_pem())

    def judge(chain: bytes) -> str:
        leaf = tmp_path / "leaf.pem"
        leaf.write_bytes(chain)
        at = str(int((NOW + timedelta(days=1)).timestamp()))
        command = ["openssl", "verify", "-attime", at, "-purpose", "sslserver", "-CAfile", root]
        done = subprocess.run([*command, leaf], capture_output=True, text=True, timeout=150)
        return done.stdout + done.stderr

    assert ": OK" in judge(issue())
    for bad in (issue(hosts=("bank.example.com",)), issue(addresses=("8.8.8.8",))):
        assert "permitted subtree violation" in judge(bad)


@pytest.mark.parametrize(
    "text", ["8.8.8.0/24", "0.0.0.0/0", "10.0.0.0/7", "::/0", "10.0.0.1/8", "x"]
)
def test_a_network_that_no_home_has_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        parse_networks([text])
    assert caught.value.reason == "bad-network"


def test_names_and_addresses_of_a_home_are_taken_in_one_spelling() -> None:
    assert verify_home_name("Heating.Home.ARPA") == "heating.home.arpa"
    assert verify_home_address("FE80::1") == "fe80::1"
