"""Enrollment: a device gets certificates for itself, for keys of its own, and nobody else does."""

import base64
import textwrap
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from tests.vendor.workshop import MODEL, Device

from limpet.crypto.certificates import issue_device_identity, make_intermediate, make_root
from limpet.crypto.chains import load_certificates, verify_chain
from limpet.crypto.keys import TlsKey, generate_key
from limpet.crypto.requests import Purpose, device_subject, make_request, verify_request
from limpet.errors import Rejected
from limpet.vendor.enrollment import (
    Authority,
    DeviceIdentity,
    Enrollment,
    IdentityKind,
    decode_request,
    encode_certificates,
)
from limpet.vendor.enrollment.authority import CERTIFICATES_PER_HOUR, approved_addresses
from limpet.vendor.fleet import view_fleet
from limpet.vendor.fleet.view import is_doubled
from limpet.vendor.home import Home
from limpet.vendor.store import Database, Devices

SERIAL = "TH-A1B2C3D4"
DAY = timedelta(days=30)


@pytest.fixture
def enrollment(home: Home) -> Enrollment:
    return Enrollment(
        authority=Authority.load(home),
        database=Database.open(home.database),
        models=(MODEL,),
        lifetime=DAY,
    )


def now() -> datetime:
    return datetime.now(UTC)


def der_of(chain_pem: bytes) -> bytes:
    return load_certificates(chain_pem)[0].public_bytes(serialization.Encoding.DER)


def client_of(enrollment: Enrollment, device: Device) -> DeviceIdentity:
    return enrollment.authority.identify(der_of(device.chain), now=now())


def enroll(enrollment: Enrollment, device: Device, csr_pem: bytes) -> bytes:
    return enrollment.enroll(client_of(enrollment, device), csr_pem, now=now())


def test_the_permanent_identity_is_told_from_the_operational_one(
    home: Home, enrollment: Enrollment
) -> None:
    device = Device(home, SERIAL)
    client = client_of(enrollment, device)
    assert (client.serial, client.model, client.kind) == (SERIAL, MODEL, IdentityKind.PERMANENT)
    chain = enroll(enrollment, device, device.request(generate_key()))
    again = enrollment.authority.identify(der_of(chain), now=now())
    assert (again.serial, again.kind) == (SERIAL, IdentityKind.OPERATIONAL)


def test_an_operational_certificate_is_short_lived_and_chains_to_the_root(
    home: Home, enrollment: Enrollment
) -> None:
    device = Device(home, SERIAL)
    chain = enroll(enrollment, device, device.request(generate_key()))
    roots = (home.trust / "device-root.pem").read_bytes()
    verified = verify_chain(chain, roots, now=now(), purpose=Purpose.CLIENT)
    assert (verified.serial, verified.model) == (SERIAL, MODEL)
    assert verified.not_after <= now() + DAY
    with pytest.raises(Rejected):
        verify_chain(chain, roots, now=now() + 2 * DAY, purpose=Purpose.CLIENT)
    with pytest.raises(Rejected, match="serverAuth"):
        verify_chain(chain, roots, now=now(), purpose=Purpose.SERVER)


def test_a_servers_certificate_names_the_device_and_local_addresses_only(
    home: Home, enrollment: Enrollment
) -> None:
    device = Device(home, SERIAL)
    asked = ["192.168.7.9", "8.8.8.8", "fd00::7", "2606:4700::1111", "0.0.0.0"]  # noqa: S104
    csr = device.request(generate_key(), Purpose.SERVER, addresses=asked)
    leaf = load_certificates(enroll(enrollment, device, csr))[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "th-a1b2c3d4.local",
        "localhost",
        "th-a1b2c3d4.limpet.alt",
    ]
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    assert addresses == ["127.0.0.1", "::1", "192.168.7.9", "fd00::7"]


@given(st.lists(st.ip_addresses().map(str), max_size=16))
def test_no_public_address_is_ever_certified(asked: list[str]) -> None:
    import ipaddress

    for address in map(ipaddress.ip_address, approved_addresses(asked)):
        assert not address.is_global


def test_a_request_for_another_device_is_refused(home: Home, enrollment: Enrollment) -> None:
    device = Device(home, SERIAL)
    for change in ({"serial": "TH-99999999"}, {"model": "kettle"}):
        with pytest.raises(Rejected) as caught:
            enroll(enrollment, device, device.request(generate_key(), **change))
        assert caught.value.reason == "wrong-device"


def test_a_device_of_another_model_is_refused(home: Home, enrollment: Enrollment) -> None:
    device = Device(home, SERIAL, model="kettle")
    with pytest.raises(Rejected) as caught:
        enroll(enrollment, device, device.request(generate_key()))
    assert caught.value.reason == "wrong-model"


def test_an_operational_key_is_neither_the_permanent_one_nor_another_devices(
    home: Home, enrollment: Enrollment
) -> None:
    one, other, key = Device(home, SERIAL), Device(home, "TH-00000002"), generate_key()
    enroll(enrollment, one, one.request(key))
    for device, stolen in ((one, one.key), (other, key)):
        with pytest.raises(Rejected) as caught:
            enroll(enrollment, device, device.request(stolen))
        assert caught.value.reason == "reused-key"
    enroll(enrollment, one, one.request(key))  # its own key may be certified again


def test_a_blocked_device_gets_nothing_until_the_block_is_lifted(
    home: Home, enrollment: Enrollment
) -> None:
    device = Device(home, SERIAL)

    def block(blocked: bool) -> None:
        with enrollment.database.transaction() as connection:
            Devices(connection).set_block(SERIAL, MODEL, now=now(), blocked=blocked, reason="x")

    block(True)  # before it was ever seen
    with pytest.raises(Rejected) as caught:
        enroll(enrollment, device, device.request(generate_key()))
    assert caught.value.reason == "blocked"
    block(False)
    enroll(enrollment, device, device.request(generate_key()))


def test_a_device_that_enrolls_without_end_is_stopped(home: Home, enrollment: Enrollment) -> None:
    device, key = Device(home, SERIAL), generate_key()
    for _ in range(CERTIFICATES_PER_HOUR):
        enroll(enrollment, device, device.request(key))
    with pytest.raises(Rejected) as caught:
        enroll(enrollment, device, device.request(key))
    assert caught.value.reason == "too-many"
    later = now() + timedelta(hours=2)
    enrollment.enroll(client_of(enrollment, device), device.request(key), now=later)


def test_every_issued_certificate_is_recorded(home: Home, enrollment: Enrollment) -> None:
    device = Device(home, SERIAL)
    for purpose in Purpose:
        enroll(enrollment, device, device.request(generate_key(), purpose))
    with enrollment.database.transaction() as connection:
        found = Devices(connection).certificates_of(SERIAL)
    assert sorted(certificate.purpose for certificate in found) == ["clientAuth", "serverAuth"]
    assert len({certificate.spki_sha256 for certificate in found}) == 2


def test_an_authority_of_the_same_name_is_not_taken_for_ours(
    home: Home, enrollment: Enrollment
) -> None:
    name = load_certificates((home.online / "factory-ca.pem").read_bytes())[0].subject
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    false_root = make_root("False Root", now=now())
    false_factory = make_intermediate(false_root, str(common), now=now())
    key = generate_key()
    csr = make_request(key, model=MODEL, serial=SERIAL, purpose=Purpose.CLIENT)
    chain = issue_device_identity(false_factory, verify_request(csr), now=now())
    with pytest.raises(Rejected) as caught:
        enrollment.authority.identify(der_of(chain), now=now())
    assert caught.value.reason == "unknown-certificate"


def test_an_expired_operational_certificate_is_no_identity(
    home: Home, enrollment: Enrollment
) -> None:
    device = Device(home, SERIAL)
    chain = enroll(enrollment, device, device.request(generate_key()))
    with pytest.raises(Rejected) as caught:
        enrollment.authority.identify(der_of(chain), now=now() + 2 * DAY)
    assert caught.value.reason == "unknown-certificate"


# --- hostile requests


def build(key: object, *names: x509.NameAttribute, extensions: object = ()) -> bytes:
    builder = x509.CertificateSigningRequestBuilder(x509.Name(names or _subject()))
    for extension in extensions:  # type: ignore[attr-defined]
        builder = builder.add_extension(extension, critical=False)
    signed = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    return signed.public_bytes(serialization.Encoding.PEM)


def _subject() -> list[x509.NameAttribute]:
    return list(device_subject(MODEL, SERIAL))


def _broken_signature() -> bytes:
    der = bytearray(
        x509.load_pem_x509_csr(build(generate_key())).public_bytes(serialization.Encoding.DER)
    )
    der[-1] ^= 1
    body = "\n".join(textwrap.wrap(base64.b64encode(bytes(der)).decode(), 64))
    return (
        f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n".encode()
    )


BOTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
SIGNS_CODE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
OTHERS_NAME = x509.SubjectAlternativeName([x509.DNSName("bank.example")])
MANY = x509.SubjectAlternativeName(
    [x509.IPAddress(__import__("ipaddress").ip_address(f"10.0.0.{n}")) for n in range(17)]
)
HOSTILE = {
    "signature": _broken_signature,
    "weak-rsa": lambda: build(rsa.generate_private_key(65537, 2048)),
    "strong-rsa": lambda: build(rsa.generate_private_key(65537, 3072)),
    "odd-curve": lambda: build(ec.generate_private_key(ec.SECP256K1())),
    "two-serials": lambda: build(
        generate_key(), *_subject(), x509.NameAttribute(NameOID.SERIAL_NUMBER, "TH-2")
    ),
    "no-serial": lambda: build(generate_key(), x509.NameAttribute(NameOID.COMMON_NAME, MODEL)),
    "both-purposes": lambda: build(generate_key(), extensions=[BOTH]),
    "code-signing": lambda: build(generate_key(), extensions=[SIGNS_CODE]),
    "others-name": lambda: build(generate_key(), extensions=[OTHERS_NAME]),
    "many-addresses": lambda: build(generate_key(), extensions=[MANY]),
    "no-request": lambda: b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END",
    "too-large": lambda: b"x" * 9000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_request_is_refused(home: Home, enrollment: Enrollment, kind: str) -> None:
    device = Device(home, SERIAL)
    with pytest.raises(Rejected):
        enroll(enrollment, device, HOSTILE[kind]())
    with enrollment.database.transaction() as connection:
        assert Devices(connection).find(SERIAL) is None or not Devices(connection).certificates_of(
            SERIAL
        )


def test_a_request_to_become_an_authority_makes_none(home: Home, enrollment: Enrollment) -> None:
    device = Device(home, SERIAL)
    wish = x509.BasicConstraints(ca=True, path_length=None)
    leaf = load_certificates(enroll(enrollment, device, build(generate_key(), extensions=[wish])))[
        0
    ]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


# --- bodies


def test_base64_is_read_wrapped_and_unwrapped() -> None:
    pem = build(generate_key())
    der = x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER)
    flat = base64.b64encode(der)
    for body in (
        flat,
        flat + b"\n",
        base64.encodebytes(der),
        b"\r\n".join(flat[at : at + 64] for at in range(0, len(flat), 64)),
    ):
        assert decode_request(body) == pem


@given(st.binary(max_size=400))
def test_no_body_raises_anything_but_a_refusal(body: bytes) -> None:
    for data in (body, base64.b64encode(body)):
        with pytest.raises(Rejected):
            decode_request(data)


def test_a_reply_is_one_unwrapped_line_that_holds_the_certificates(home: Home) -> None:
    pem = (home.online / "operational-ca.pem").read_bytes()
    reply = encode_certificates(pem)
    assert reply.endswith(b"\n")
    assert reply.count(b"\n") == 1
    found = pkcs7.load_der_pkcs7_certificates(base64.b64decode(reply))
    assert found == load_certificates(pem)


def _asked_for(enrollment: Enrollment, device: Device, *keys: TlsKey) -> bool:
    """Certificates for `keys`, one after the other; whether the fleet calls the device doubled."""
    for key in keys:
        enroll(enrollment, device, device.request(key))
    return next(d.doubled for d in view_fleet(enrollment.database) if d.serial == device.serial)


def test_two_machines_with_one_identity_are_seen_when_the_first_comes_back(
    home: Home, enrollment: Enrollment
) -> None:
    device, neighbour = Device(home, SERIAL), Device(home, "TH-00000002")
    one, other, third = generate_key(), generate_key(), generate_key()
    assert not _asked_for(enrollment, device, one, one)
    assert not _asked_for(enrollment, device, other, other)  # a reset makes a new key
    assert not _asked_for(enrollment, neighbour, third, third)
    assert _asked_for(enrollment, device, one)  # and never the old one again
    assert not _asked_for(enrollment, neighbour, third)


def test_keys_for_two_purposes_are_not_two_machines(home: Home, enrollment: Enrollment) -> None:
    device = Device(home, SERIAL)
    client, server = generate_key(), generate_key()
    for _ in range(3):
        assert not _asked_for(enrollment, device, client)
        enroll(enrollment, device, device.request(server, Purpose.SERVER))
    assert not _asked_for(enrollment, device, client)


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_a_device_is_doubled_if_a_key_comes_back(keys: list[str]) -> None:
    runs = [key for place, key in enumerate(keys) if place == 0 or keys[place - 1] != key]
    assert is_doubled(keys) == (len(runs) > len(set(runs)))
