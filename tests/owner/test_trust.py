"""Trust: the owner's client talks to the device on the label, or to nobody."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from tests.owner.conftest import CODE, PASSWORD, SERIAL, Device, Maker, Running

from limpet.crypto.requests import Purpose
from limpet.errors import Rejected, Unavailable
from limpet.owner.client import DeviceClient
from limpet.owner.flows import claim_device
from limpet.owner.store import Store
from limpet.owner.trust import (
    DeviceAddress,
    parse_device_url,
    verify_root,
    verify_serial,
)


def client(running: Running, maker: Maker, serial: str = SERIAL) -> DeviceClient:
    root = verify_root(maker.root.certificate_pem(), pin=maker.pin)
    return DeviceClient(parse_device_url(running.url), root=root, serial=serial)


def secrets_sent(device: Device) -> bool:
    return bool(device.seen)


def test_the_device_on_the_label_is_reached_whatever_its_address(
    new_device: Any, maker: Maker
) -> None:
    running = new_device()
    with client(running, maker) as reached:
        assert reached.identity().serial == SERIAL


def test_another_genuine_device_of_the_same_maker_is_refused_before_anything_is_sent(
    new_device: Any, maker: Maker, tmp_path: Path
) -> None:
    running = new_device(certified="TH-0000DEAD", device=Device(serial=SERIAL))
    with pytest.raises(Rejected) as refused:
        claim_device(
            Store(tmp_path),
            address=parse_device_url(running.url),
            serial=SERIAL,
            code=CODE,
            root=verify_root(maker.root.certificate_pem(), pin=maker.pin),
            name="owner",
            password=PASSWORD,
        )
    assert refused.value.reason in ("untrusted-device", "wrong-device")
    assert not secrets_sent(running.device)
    assert Store(tmp_path).serials() == ()


def test_a_name_that_fits_is_not_enough_if_the_subject_names_another_serial(
    maker: Maker, new_device: Any
) -> None:
    running = new_device()
    with client(running, maker) as reached:
        reached.identity()
        der = reached._http.peer_certificate()
    verify_serial(der, SERIAL)
    for wrong in ("TH-00C0FFEF", SERIAL.lower(), ""):
        with pytest.raises(Rejected, match="is not the device"):
            verify_serial(der, wrong)
    with pytest.raises(Rejected):
        verify_serial(None, SERIAL)
    with pytest.raises(Rejected):
        verify_serial(b"rubbish", SERIAL)


def test_a_certificate_of_another_maker_is_refused(
    new_device: Any, maker: Maker, other_maker: Maker
) -> None:
    running = new_device(by=other_maker)
    with client(running, maker) as reached, pytest.raises(Rejected) as refused:
        reached.identity()
    assert refused.value.reason == "untrusted-device"
    assert not secrets_sent(running.device)


def test_a_devices_client_certificate_does_not_serve_as_a_servers(
    new_device: Any, maker: Maker
) -> None:
    running = new_device(purpose=Purpose.CLIENT)
    with client(running, maker) as reached, pytest.raises(Rejected) as refused:
        reached.identity()
    assert refused.value.reason == "untrusted-device"
    assert not secrets_sent(running.device)


def test_an_expired_certificate_says_so_and_what_to_do(new_device: Any, maker: Maker) -> None:
    running = new_device(days_old=1.5)
    with client(running, maker) as reached, pytest.raises(Rejected) as refused:
        reached.identity()
    assert refused.value.reason == "expired-certificate"
    assert "clock" in refused.value.hint
    assert not secrets_sent(running.device)


def test_a_device_that_contradicts_its_certificate_is_refused(
    new_device: Any, maker: Maker
) -> None:
    running = new_device(device=Device(serial="TH-0000DEAD"))
    with client(running, maker) as reached, pytest.raises(Rejected, match="contradicts"):
        reached.identity()


def test_an_address_where_nobody_listens_is_one_clear_error(maker: Maker) -> None:
    root = verify_root(maker.root.certificate_pem(), pin=None)
    with (
        DeviceClient(DeviceAddress("127.0.0.1", 1), root=root, serial=SERIAL) as reached,
        pytest.raises(
            Unavailable, match=f"cannot reach the device {SERIAL} at https://127.0.0.1:1"
        ),
    ):
        reached.identity()


def test_a_root_that_the_label_does_not_name_is_refused(maker: Maker, other_maker: Maker) -> None:
    with pytest.raises(Rejected) as refused:
        verify_root(other_maker.root.certificate_pem(), pin=maker.pin)
    assert refused.value.reason == "wrong-root"


def test_a_file_of_two_roots_is_refused_even_if_one_is_right(
    maker: Maker, other_maker: Maker
) -> None:
    both = maker.root.certificate_pem() + other_maker.root.certificate_pem()
    with pytest.raises(Rejected, match="one certificate"):
        verify_root(both, pin=maker.pin)


@given(st.binary(max_size=300))
def test_rubbish_is_never_a_root(data: bytes) -> None:
    with pytest.raises(Rejected):
        verify_root(data, pin=None)


def test_the_intermediate_does_not_pass_for_the_pinned_root(maker: Maker) -> None:
    pem = maker.issuer.certificate.public_bytes(serialization.Encoding.PEM)
    with pytest.raises(Rejected) as refused:
        verify_root(pem, pin=maker.pin)
    assert refused.value.reason == "wrong-root"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://192.0.2.7", DeviceAddress("192.0.2.7", 443)),
        ("192.0.2.7:8443", DeviceAddress("192.0.2.7", 8443)),
        ("https://[2001:db8::1]:8443/", DeviceAddress("2001:db8::1", 8443)),
        ("th-00c0ffee.local", DeviceAddress("th-00c0ffee.local", 443)),
    ],
)
def test_an_address_is_read_as_people_write_it(text: str, address: DeviceAddress) -> None:
    assert parse_device_url(text) == address
    assert parse_device_url(address.url) == address


@pytest.mark.parametrize(
    "text",
    ["http://192.0.2.7", "https://", "", "https://a:b@host", "https://host/path", "https://host:x",
     "https://host:99999", "file:///etc/passwd", "https://host?x=1", "https://[::1"],
)  # fmt: skip
def test_what_is_no_https_address_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as refused:
        parse_device_url(text)
    assert refused.value.reason == "bad-address"


def test_only_the_verification_makes_a_verified_root_in_the_package() -> None:
    source = Path(__file__).parents[2] / "src" / "limpet"
    makers = [path.name for path in source.rglob("*.py") if "VerifiedRoot(" in path.read_text()]
    assert makers == ["trust.py"]
