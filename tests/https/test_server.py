"""Attacks on the HTTPS server over real sockets: each of its bounds is hit."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from pathlib import Path

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.https.conftest import Running, Start, echo, read_all, read_answer

from limpet.crypto.tls import client_context, server_context
from limpet.errors import Rejected, Unavailable
from limpet.https._parse import parse_head
from limpet.https.admission import Admission, Drop
from limpet.https.limits import Limits
from limpet.https.message import FileBody, Request, Response
from limpet.https.server import Server, serve, shrink_tls_buffers

BREATH_SECONDS = 0.005
RESET = struct.pack("ii", 1, 0)
GET = b"GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n"


def status_of(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def ask(running: Running, request: bytes) -> bytes:
    with running.connect() as tls:
        tls.sendall(request)
        return read_all(tls)


def drip(tls: ssl.SSLSocket, first: bytes, piece: bytes = b"a", pause: float = 0.05) -> None:
    """Send for ever (40 s), a piece at a time; raises when the server has had enough."""
    end = time.monotonic() + 40
    tls.sendall(first)
    while time.monotonic() < end:
        tls.sendall(piece)
        time.sleep(pause)


def test_several_requests_are_answered_on_one_connection(start: Start) -> None:
    with start().connect() as tls:
        for _ in range(3):
            tls.sendall(b"POST /x%20y HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc")
            reply = read_answer(tls)
            assert status_of(reply) == 200
            assert reply.endswith(b"/x y|abc")


def test_the_tls_buffers_of_a_connection_are_one_record_long(start: Start) -> None:
    running = start()
    with running.connect() as tls:
        tls.sendall(GET)
        read_answer(tls)
        sizes = [
            len(thing._ssl_buffer)
            for thing in __import__("gc").get_objects()
            if type(thing).__name__ == "SSLProtocol"
        ]
    assert sizes
    assert set(sizes) == {16384}
    shrink_tls_buffers()
    assert asyncio.sslproto.SSLProtocol.max_size == 16384  # type: ignore[attr-defined]


def test_plain_http_on_the_tls_port_gets_a_bare_400_and_is_closed(start: Start) -> None:
    with start().plain() as sock:
        sock.sendall(GET)
        reply = read_all(sock)
    assert reply == b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def test_tls_1_2_is_refused(start: Start) -> None:
    running = start()
    context = client_context(roots_pem=running.identity.roots)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        running.plain() as raw,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(raw, server_hostname="localhost")


def test_a_handshake_that_never_ends_is_cut_at_its_deadline(start: Start) -> None:
    running = start(limits=Limits(handshake_seconds=0.5))
    begun = time.monotonic()
    with running.plain() as silent, running.plain() as half:
        half.sendall(b"\x16\x03\x01\x02\x00\x01")
        for sock in (silent, half):
            assert read_all(sock) == b""
    assert 0.3 < time.monotonic() - begun < 9


def test_a_slow_header_is_cut_at_its_deadline_however_steadily_it_drips(start: Start) -> None:
    running = start(limits=Limits(header_seconds=0.6, idle_seconds=30))
    begun = time.monotonic()
    with running.connect() as tls, pytest.raises((ConnectionError, ssl.SSLError)):
        drip(tls, b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ")
    assert time.monotonic() - begun < 20


def test_a_slow_body_is_cut_at_its_deadline_however_steadily_it_drips(start: Start) -> None:
    running = start(limits=Limits(body_seconds=0.6))
    begun = time.monotonic()
    with running.connect() as tls, pytest.raises((ConnectionError, ssl.SSLError)):
        drip(tls, b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n")
    assert time.monotonic() - begun < 20


def test_an_idle_connection_is_closed(start: Start) -> None:
    running = start(limits=Limits(idle_seconds=0.4))
    with running.connect() as tls:
        tls.sendall(GET)
        read_answer(tls)
        begun = time.monotonic()
        assert tls.recv(10) == b""
    assert time.monotonic() - begun < 20


def test_a_client_that_does_not_read_its_answer_is_cut_off(start: Start, tmp_path: Path) -> None:
    big = tmp_path / "image"
    big.write_bytes(b"x" * (8 << 20))

    async def send_big(request: Request) -> Response:
        return Response(200, {}, FileBody(big, 0, 8 << 20))

    limits = Limits(write_seconds=0.4, write_bytes_per_second=100 << 20)
    running = start(send_big, limits=limits)
    with running.connect() as tls:
        tls.sendall(GET)
        assert running.until(lambda: running.server.connections == 0)


def test_an_oversize_header_is_refused(start: Start) -> None:
    reply = ask(start(), b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 20000 + b"\r\n\r\n")
    assert status_of(reply) == 431


def test_an_endless_header_is_refused_as_soon_as_it_is_too_long(start: Start) -> None:
    with start().connect() as tls, pytest.raises((ConnectionError, ssl.SSLError)):
        drip(tls, b"GET / HTTP/1.1\r\nhost: a\r\nx: ", b"a" * 4096, pause=0)


def test_an_oversize_body_is_refused_before_it_is_read(start: Start) -> None:
    reply = ask(start(), b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999\r\n\r\n")
    assert status_of(reply) == 413
    assert b"too-large" in reply


def test_requests_on_one_connection_are_bounded_and_the_last_says_close(start: Start) -> None:
    reply = ask(start(limits=Limits(requests_per_connection=3)), GET * 10)
    assert reply.count(b"HTTP/1.1 200") == 3
    assert reply.count(b"connection: close") == 1


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 3\r\ncontent-length: 4\r\n",
        b"content-length: 3, 4\r\n",
        b"content-length: 3\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\n",
        b"transfer-encoding: identity, chunked\r\n",
        b"transfer-encoding : chunked\r\n",
        b"content-length: +3\r\n",
        b"content-length: 0x3\r\n",
        b"content-length: -3\r\n",
        b"x: a\r\n folded\r\ncontent-length: 3\r\nhost: b\r\n",
    ],
)
def test_a_smuggled_body_length_is_refused_and_the_connection_closed(
    start: Start, framing: bytes
) -> None:
    smuggled = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
    reply = ask(start(), b"POST / HTTP/1.1\r\nhost: a\r\n" + framing + b"\r\n" + smuggled)
    assert b"smuggled" not in reply
    assert b" 200 " not in reply
    assert reply == b"" or 400 <= status_of(reply) < 502


@pytest.mark.parametrize(
    "target",
    [
        b"/../etc/passwd", b"/a/../b", b"/a/%2e%2e/b", b"//a", b"/a//b", b"/%00", b"/a%0d%0ab",
        b"/%ff", b"http://a/b", b"*", b"/a\\b", b"/?a=1&a=2", b"/#x", b"/?a=1#x",
    ],
)  # fmt: skip
def test_a_target_with_two_readings_is_refused(start: Start, target: bytes) -> None:
    reply = ask(start(), b"GET " + target + b" HTTP/1.1\r\nhost: a\r\n\r\n")
    assert status_of(reply) == 400


@pytest.mark.parametrize("missing", [b"", b"host: a\r\nhost: b\r\n"])
def test_a_request_needs_exactly_one_host(start: Start, missing: bytes) -> None:
    assert status_of(ask(start(), b"GET / HTTP/1.1\r\n" + missing + b"\r\n")) == 400


def test_random_bytes_inside_tls_do_not_hurt_the_server(start: Start) -> None:
    running = start()
    for garbage in (b"\x00" * 100, b"\x16\x03\x01" * 50, b"GET\r\n\r\n", b"\xff\xfe\r\n\r\n"):
        assert b" 200 " not in ask(running, garbage + b"\r\n\r\n")
    assert (
        status_of(ask(running, GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))) == 200
    )
    assert not [event for event in running.events if event[0] == "connection-failed"]


@pytest.mark.parametrize(
    ("error", "status"),
    [(Rejected("bad", "no"), 400), (Unavailable("gone"), 503), (ValueError("secret"), 500)],
)
def test_an_error_of_the_handler_becomes_a_problem_without_its_inside(
    start: Start, error: Exception, status: int
) -> None:
    async def fail(request: Request) -> Response:
        raise error

    reply = ask(start(fail), GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert status_of(reply) == status
    assert b"application/problem+json" in reply
    assert b"secret" not in reply


def test_a_handler_that_hangs_is_answered_for(start: Start) -> None:
    async def hang(request: Request) -> Response:
        await asyncio.sleep(60)
        return Response(200)

    with start(hang, limits=Limits(handler_seconds=0.3)).connect() as tls:
        tls.sendall(GET)
        assert status_of(read_answer(tls)) == 503


def test_a_range_of_a_file_is_sent_byte_for_byte(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(bytes(range(256)) * 4096)

    async def send(request: Request) -> Response:
        return Response(206, {}, FileBody(path, 1000, 700_000))

    reply = ask(start(send), GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
    assert reply.split(b"\r\n\r\n", 1)[1] == path.read_bytes()[1000:701_000]


def test_a_head_request_gets_the_length_but_no_body(start: Start) -> None:
    reply = ask(start(), b"HEAD /abc HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert b"content-length: 5" in reply
    assert reply.endswith(b"\r\n\r\n")


def test_the_verified_client_certificate_reaches_the_handler(start: Start) -> None:
    async def show(request: Request) -> Response:
        return Response(200, {}, str(bool(request.peer.certificate_der)).encode())

    running = start(show)
    identity = running.identity
    running.server.tls = server_context(
        identity.chain, identity.key, client_roots_pem=identity.roots
    )
    for chain, answer in ((identity.client_chain, b"True"), (None, b"False")):
        context = client_context(
            roots_pem=identity.roots, chain_pem=chain, key=identity.client_key if chain else None
        )
        with (
            running.plain() as raw,
            context.wrap_socket(raw, server_hostname="localhost") as tls,
        ):
            tls.sendall(GET)
            assert read_answer(tls).endswith(answer)


def test_a_new_certificate_serves_new_connections_and_leaves_open_ones_alone(start: Start) -> None:
    running = start()
    with running.connect() as old:
        running.server.tls = server_context(
            running.identity.client_chain, running.identity.client_key
        )
        old.sendall(GET)
        assert status_of(read_answer(old)) == 200
        with running.plain() as raw, pytest.raises(ssl.SSLCertVerificationError):
            running.context().wrap_socket(raw, server_hostname="localhost")


def test_a_busy_port_is_one_clear_line(start: Start) -> None:
    running = start()

    async def again() -> None:
        await serve(echo, host="127.0.0.1", port=running.port, tls=running.server.tls)

    with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1 port {running.port}"):
        asyncio.run(again())


def test_closing_the_server_ends_idle_and_half_open_connections(start: Start) -> None:
    running = start()
    with running.plain() as silent, running.connect() as idle:
        assert running.until(lambda: running.server.connections == 2)
        asyncio.run_coroutine_threadsafe(running.server.close(), running.loop).result(10)
        assert read_all(silent) == b""
        assert read_all(idle) == b""
        with pytest.raises(OSError):  # noqa: PT011
            socket.create_connection(("127.0.0.1", running.port), timeout=1)


@pytest.mark.parametrize("way", ["reset", "closed"])
def test_who_has_left_before_the_accept_costs_no_decision(
    start: Start, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, stays = start(), threading.Event()
    asked, decide = [], Admission.open

    def count(admission: Admission, address: str) -> int | Drop:
        asked.append(address)
        return decide(admission, address)

    monkeypatch.setattr(Admission, "open", count)
    running.loop.call_soon_threadsafe(stays.wait, 30)  # nothing is accepted meanwhile
    for _ in range(50):
        gone = running.plain()
        if way == "reset":
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        gone.close()
    waiting = running.plain()
    stays.set()
    with running.context().wrap_socket(waiting, server_hostname="localhost") as tls:
        tls.sendall(GET)
        assert status_of(read_answer(tls)) == 200
    assert len(asked) == 1, "the one that is still there, behind fifty that are not"


def test_a_flood_that_is_turned_away_is_looked_at_in_turns_and_not_for_each_of_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds, accept = [], Server._accept

    def count(server: Server) -> None:
        rounds.append(time.monotonic())
        accept(server)

    monkeypatch.setattr(Server, "_accept", count)
    running = start()
    begun = time.monotonic()
    for _ in range(300):
        gone = running.plain()
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        gone.close()
    took = time.monotonic() - begun
    # Of 300 that come one by one; where sixteen have come at once, the next round follows.
    assert len(rounds) <= took / BREATH_SECONDS + 300 / 16 + 2
    with running.connect() as tls:
        tls.sendall(GET)
        assert status_of(read_answer(tls)) == 200


def test_many_aborted_handshakes_leave_the_server_as_it_was(start: Start) -> None:
    running = start(limits=Limits(handshake_seconds=0.3))
    for number in range(150):
        with running.plain() as sock:
            if number % 3:
                sock.sendall(b"\x16\x03\x01\x00\xff" + bytes(number % 7))
            if number % 5 == 0:
                sock.sendall(b"x" * 300)
    assert running.until(lambda: running.server.connections == 0)
    with running.connect() as tls:
        tls.sendall(GET)
        assert status_of(read_answer(tls)) == 200
    assert running.events == []


@given(st.binary(max_size=300), st.sampled_from([b"", b"GET ", b"POST /a HTTP/1.1\r\n"]))
def test_no_bytes_make_the_parser_fail_but_by_refusing(data: bytes, start_line: bytes) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1000)
    connection.receive_data(start_line + data + b"\r\n\r\n")
    with contextlib.suppress(h11.RemoteProtocolError, Rejected):
        event = connection.next_event()
        if isinstance(event, h11.Request):
            parse_head(event, Limits())


@pytest.mark.parametrize("digits", [21, 4000, 15000])
def test_an_endless_content_length_is_refused(start: Start, digits: int) -> None:
    length = b"9" * digits
    reply = ask(start(), b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: " + length + b"\r\n\r\n")
    assert 400 <= status_of(reply) < 500
