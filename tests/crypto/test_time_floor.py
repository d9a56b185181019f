"""TLS judged by a time that is certainly past: real handshakes in memory and on a socket."""

import contextlib
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest

from limpet.crypto.certificates import issue_device_identity, issue_service, make_root
from limpet.crypto.chains import possible_moment
from limpet.crypto.held import HeldKey
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import client_context, server_context
from limpet.errors import Misuse, Rejected

NOW = datetime.now(UTC)
ROOT = make_root("root", now=NOW - timedelta(days=9000))
HOST = "vendor.example.com"


def _server(*, begins: datetime, days: int) -> ssl.SSLContext:
    key = generate_key()
    chain = issue_service(ROOT, key, hostnames=[HOST], now=begins, days=days)
    return server_context(chain, key)


def _client(floor: datetime | None) -> ssl.SSLContext:
    given = None if floor is None else (lambda: floor)
    return client_context(roots_pem=ROOT.certificate_pem(), time_floor=given)


def _shake(client: ssl.SSLContext, server: ssl.SSLContext, host: str = HOST) -> None:
    to_server, to_client = (ssl.MemoryBIO(), ssl.MemoryBIO()), (ssl.MemoryBIO(), ssl.MemoryBIO())
    near = client.wrap_bio(to_client[0], to_server[0], server_hostname=host)
    far = server.wrap_bio(to_server[0], to_client[0], server_side=True)
    for _ in range(3):
        for one in (near, far):
            with contextlib.suppress(ssl.SSLWantReadError):
                one.do_handshake()


EXPIRED = {"begins": NOW - timedelta(days=400), "days": 30}
FUTURE = {"begins": NOW + timedelta(days=4000), "days": 30}


@pytest.mark.parametrize("span", [EXPIRED, FUTURE])
def test_by_the_wall_clock_such_a_server_is_refused(span: dict[str, object]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake(_client(None), _server(**span))  # type: ignore[arg-type]


@pytest.mark.parametrize("span", [EXPIRED, FUTURE])
def test_by_a_floor_that_lies_before_it_the_same_server_is_accepted(
    span: dict[str, object],
) -> None:
    floor = NOW - timedelta(days=500)
    _shake(_client(floor), _server(**span))  # type: ignore[arg-type]


def test_a_server_whose_certificate_ended_before_the_floor_is_refused() -> None:
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        _shake(_client(NOW - timedelta(days=300)), _server(**EXPIRED))  # type: ignore[arg-type]
    assert "is past" in refused.value.verify_message


def test_the_floor_holds_on_a_socket_too() -> None:
    near, far = socket.socketpair()
    server = _server(**EXPIRED)  # type: ignore[arg-type]

    def serve() -> None:
        try:
            server.wrap_socket(far, server_side=True).close()
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    near.settimeout(10)
    with pytest.raises(ssl.SSLCertVerificationError):
        _client(NOW - timedelta(days=300)).wrap_socket(near, server_hostname=HOST)
    near.close()
    thread.join(10)


def test_name_and_root_are_still_checked_with_a_floor() -> None:
    floor = NOW - timedelta(days=500)
    server = _server(**EXPIRED)  # type: ignore[arg-type]
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake(_client(floor), server, "other.example.com")
    other = client_context(
        roots_pem=make_root("root", now=NOW).certificate_pem(), time_floor=lambda: floor
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake(other, server)


def test_a_chain_is_judged_at_the_first_moment_that_is_possible() -> None:
    begins = NOW + timedelta(days=4000)
    chain = issue_service(ROOT, generate_key(), hostnames=[HOST], now=begins, days=30)
    assert possible_moment(chain, floor=NOW) > NOW + timedelta(days=3999)
    late = begins + timedelta(days=60)
    assert possible_moment(chain, floor=late) == late


def test_a_key_that_is_held_elsewhere_is_never_written_out() -> None:
    real = generate_key()
    held = HeldKey(real.public_key(), lambda digest: b"")
    with pytest.raises(Misuse):
        key_to_pem(held)
    with pytest.raises(Misuse):
        held.private_numbers()


def test_a_key_of_another_certificate_is_refused() -> None:
    request = make_request(generate_key(), model="m", serial="s", purpose=Purpose.CLIENT)
    chain = issue_device_identity(ROOT, verify_request(request), now=NOW)
    other = HeldKey(generate_key().public_key(), lambda digest: b"")
    with pytest.raises(Rejected, match="do not fit"):
        client_context(roots_pem=ROOT.certificate_pem(), chain_pem=chain, key=other)
