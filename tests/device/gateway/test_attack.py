"""R2.2.1 and R2.2.3 on the real processes: a flood of guesses, and what the owner feels of it."""

import contextlib
import socket
import ssl
import statistics
import threading
import time

import msgspec
import pytest
from tests.device.gateway.conftest import PASSWORD, SERIAL, Person, Stand

from limpet.crypto.tls import client_context
from limpet.device.link.permits import Role

OWNER_SECONDS = 0.5  # the median answer of the owner's session during the flood
LOGIN_SECONDS = 3.0


class Guesser(threading.Thread):
    """Guesses passwords from one address, with a new connection each time, until told to stop."""

    def __init__(self, stand: Stand, source: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._stand, self._source, self._stop_event = stand, source, stop
        self._tls = client_context(roots_pem=stand.device_root.certificate_pem())
        self.statuses: list[int] = []
        self.refused = 0

    def run(self) -> None:
        number = 0
        while not self._stop_event.is_set():
            number += 1
            body = msgspec.json.encode(
                {"name": "owner", "password": f"guess {self._source} {number} of many"}
            )
            try:
                self.statuses.append(self._post(body))
            except (OSError, ValueError, IndexError):
                self.refused += 1

    def _post(self, body: bytes) -> int:
        with (
            socket.create_connection(
                ("127.0.0.1", self._stand.port), timeout=5, source_address=(self._source, 0)
            ) as raw,
            self._tls.wrap_socket(raw, server_hostname="localhost") as tls,
        ):
            head = (
                "POST /v1/login HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            tls.sendall(head.encode() + body)
            return int(tls.recv(4096).split(b" ")[1])


@pytest.mark.alone
def test_a_guess_flood_gets_ten_guesses_and_the_owner_stays_quick(stand: Stand) -> None:
    owner = Person(stand)
    owner.claim()
    stop = threading.Event()
    guessers = [Guesser(stand, f"127.0.9.{number}", stop) for number in range(1, 9)]
    for guesser in guessers:
        guesser.start()
    time.sleep(0.5)
    took = []
    end = time.monotonic() + 4
    while time.monotonic() < end:
        begun = time.monotonic()
        assert owner.ask("GET", "/v1/functions")[0] == 200
        took.append(time.monotonic() - begun)
    begun = time.monotonic()
    body = {"name": "owner", "password": PASSWORD, "known": owner.known}
    assert owner.ask("POST", "/v1/login", body, token="")[0] == 201
    login = time.monotonic() - begun
    stop.set()
    for guesser in guessers:
        guesser.join(10)
    statuses = [status for guesser in guessers for status in guesser.statuses]
    assert 201 not in statuses
    assert len(statuses) > 30  # the flood was one
    assert statuses.count(401) <= 10  # checked guesses: DESIGN's bucket
    assert statuses.count(429) > 0
    assert statistics.median(took) < OWNER_SECONDS
    assert login < LOGIN_SECONDS


def test_a_delay_outlives_the_killing_of_accounts_in_the_middle_of_guessing(stand: Stand) -> None:
    owner = Person(stand)
    owner.claim()
    stop = threading.Event()
    guessers = [Guesser(stand, f"127.0.8.{number}", stop) for number in range(1, 5)]
    for guesser in guessers:
        guesser.start()
    time.sleep(0.3)
    for _ in range(3):
        stand.kill(Role.ACCOUNTS)
        stand.start(Role.ACCOUNTS)
        time.sleep(0.2)
    stop.set()
    for guesser in guessers:
        guesser.join(10)
    statuses = [status for guesser in guessers for status in guesser.statuses]
    assert statuses.count(401) <= 10
    body = {"name": "owner", "password": PASSWORD}
    status, value, _ = owner.ask("POST", "/v1/login", body, token="")
    assert (status, value["reason"]) == (429, "throttled")
    assert owner.ask("POST", "/v1/login", {**body, "known": owner.known}, token="")[0] == 201


def test_connections_that_say_nothing_do_not_keep_the_owner_out(stand: Stand) -> None:
    owner = Person(stand)
    owner.claim()
    owner.client.close()
    opened = 0
    with contextlib.ExitStack() as stack:
        for number in range(120):
            source = f"127.0.{number // 100 + 1}.{number % 100 + 1}"
            with contextlib.suppress(
                ConnectionResetError
            ):  # the device may drop a stranger at once
                stack.enter_context(
                    socket.create_connection(
                        ("127.0.0.1", stand.port), timeout=5, source_address=(source, 0)
                    )
                )
                opened += 1
        assert opened > 30  # the attack was made
        for _ in range(3):
            begun = time.monotonic()
            assert owner.ask("GET", "/v1/functions")[0] == 200
            assert time.monotonic() - begun < 8  # no stranger's deadline is waited for
            owner.client.close()
    assert stand.stderr == []  # dropping is everyday: the confined gateway may do it


def test_plain_text_and_old_tls_get_nothing(stand: Stand) -> None:
    with socket.create_connection(("127.0.0.1", stand.port), timeout=5) as raw:
        raw.sendall(b"GET /v1/identity HTTP/1.1\r\nhost: localhost\r\n\r\n")
        reply = raw.recv(4096)
    assert reply.startswith(b"HTTP/1.1 400")
    assert SERIAL.encode() not in reply
    context = client_context(roots_pem=stand.device_root.certificate_pem())
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", stand.port), timeout=5) as raw:
        try:
            context.wrap_socket(raw, server_hostname="localhost")
        except (ssl.SSLError, ConnectionError):
            return
    raise AssertionError("TLS 1.2 was accepted")
