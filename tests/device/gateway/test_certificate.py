"""The gateway's certificate: enrolled, renewed in time, swapped live, and done without."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from tests.device.gateway.conftest import SERIAL, Person, Stand

from limpet.audit import Endpoint
from limpet.audit.instruments.tls import show_chain
from limpet.crypto.certificates import self_made_name
from limpet.crypto.keys import spki_sha256
from limpet.device.gateway.certificate import (
    CHAIN_FILE,
    KEY_FILE,
    LONGEST_RETRY_SECONDS,
    decide_retry,
)
from limpet.device.link.permits import Role
from limpet.errors import Rejected


def test_retries_slow_down_to_an_hour() -> None:
    pauses = [decide_retry(failures, draw=0.999) for failures in range(1, 30)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 3
    assert LONGEST_RETRY_SECONDS * 0.9 < pauses[-1] <= LONGEST_RETRY_SECONDS


def certificate_of(stand: Stand) -> x509.Certificate:
    with stand.client() as client:
        client.get("/v1/identity", max_bytes=9999)
        der = client.peer_certificate()
    assert der is not None
    return x509.load_der_x509_certificate(der)


def test_a_certificate_is_swapped_live_for_the_same_key_before_it_ends(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.lifetime = timedelta(seconds=3)  # backdated by an hour: renewal is always due
    try:
        stand.mint()
        for role in (Role.ACCOUNTS, Role.APP, Role.GATEWAY):
            stand.start(role)
        stand.wait_enrolled()
        stand.lifetime = timedelta(days=30)
        stand.wait_enrolled(2)
        time.sleep(0.2)
        renewed = certificate_of(stand)
        assert renewed.not_valid_after_utc > datetime.now(UTC) + timedelta(days=20)
        stored = (tmp_path / "gateway" / CHAIN_FILE).read_bytes()
        first = x509.load_pem_x509_certificates(stored)[0]
        assert spki_sha256(renewed) == spki_sha256(first)
        assert oct((tmp_path / "gateway" / KEY_FILE).stat().st_mode & 0o777) == "0o600"
    finally:
        stand.close()


def test_a_device_without_its_vendor_still_starts_with_a_self_signed_one(tmp_path: Path) -> None:
    stand = Stand(tmp_path)
    stand.vendor_reachable = False
    try:
        stand.mint()
        for role in (Role.ACCOUNTS, Role.APP, Role.GATEWAY):
            stand.start(role)
        assert stand.port
        with pytest.raises(Rejected) as caught:
            Person(stand).ask("GET", "/v1/identity")
        assert caught.value.reason == "untrusted-server"
        (shown,) = show_chain(Endpoint("127.0.0.1", stand.port))
        assert shown.issuer == f"CN={self_made_name(SERIAL)}"  # by which an audit knows it
        assert shown.serial == SERIAL
        end = time.monotonic() + 120
        while not any(event.event == "enrollment-failed" for event in stand.log):
            assert time.monotonic() < end
            time.sleep(0.02)
        stand.vendor_reachable = True
        stand.wait_enrolled()
        time.sleep(0.1)
        assert Person(stand).ask("GET", "/v1/identity")[0] == 200
    finally:
        stand.close()


def test_the_certificate_outlives_a_restart_of_the_gateway(stand: Stand) -> None:
    before = certificate_of(stand)
    stand.kill(Role.GATEWAY)
    stand.log.clear()
    stand.start(Role.GATEWAY)
    assert stand.port
    assert certificate_of(stand) == before
    assert not [event for event in stand.log if event.event == "enrolled"]


def test_a_damaged_certificate_or_key_is_replaced_by_a_new_enrollment(stand: Stand) -> None:
    stand.kill(Role.GATEWAY)
    for name in (CHAIN_FILE, KEY_FILE):
        (stand.root / "gateway" / name).write_bytes(b"damaged")
    stand.log.clear()
    stand.start(Role.GATEWAY)
    stand.wait_enrolled()
    time.sleep(0.1)
    assert Person(stand).ask("GET", "/v1/identity")[0] == 200
