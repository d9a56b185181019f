"""The HTTPS client against servers that are honest, hostile or dead."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.https.conftest import Identity, Running, Start
from tests.ports import held_port

from limpet.crypto.tls import client_context, server_context
from limpet.errors import Misuse, Rejected, Unavailable
from limpet.https.client import HttpsClient, Timeouts
from limpet.https.message import Request, Response

QUICK = Timeouts(connect=10, total=3, stream_pause=1)


def client(running: Running, timeouts: Timeouts | None = None) -> HttpsClient:
    return HttpsClient(
        "https://t-1.local:8443",
        tls=running.context(),
        resolve={"t-1.local:8443": f"127.0.0.1:{running.port}"},
        timeouts=timeouts,
    )


@contextlib.contextmanager
def hostile(identity: Identity, behave: Callable[[ssl.SSLSocket], None]) -> Iterator[HttpsClient]:
    """A TLS server that reads a request and then does as `behave` says."""
    listener = socket.create_server(("127.0.0.1", 0))
    context = server_context(identity.chain, identity.key)

    def run() -> None:
        with contextlib.suppress(OSError):
            raw, _ = listener.accept()
            with context.wrap_socket(raw, server_side=True) as tls:
                tls.recv(65536)
                behave(tls)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    url = f"https://localhost:{listener.getsockname()[1]}"
    with HttpsClient(url, tls=client_context(roots_pem=identity.roots), timeouts=QUICK) as one:
        yield one
    listener.close()
    thread.join(5)


@contextlib.contextmanager
def answering(
    identity: Identity, lives: list[list[bytes]], taken: list[bytes]
) -> Iterator[HttpsClient]:
    """A server of one connection after the other, each of which gives its answers and ends.

    `taken` is what it was asked.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    context = server_context(identity.chain, identity.key)

    def run() -> None:
        for answers in lives:
            with contextlib.suppress(OSError):
                raw, _ = listener.accept()
                with context.wrap_socket(raw, server_side=True) as tls:
                    for answer in answers:
                        taken.append(tls.recv(65536))
                        tls.sendall(answer)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    url = f"https://localhost:{listener.getsockname()[1]}"
    with HttpsClient(url, tls=client_context(roots_pem=identity.roots), timeouts=QUICK) as one:
        yield one
    listener.close()


def test_a_request_goes_through_and_the_connection_is_kept(start: Start) -> None:
    ports = []

    async def note(request: Request) -> Response:
        ports.append(request.peer.port)
        return Response(200, {"x-host": request.headers["host"]}, request.body)

    with client(start(note)) as one:
        assert one.get("/", max_bytes=10).headers["x-host"] == "t-1.local:8443"
        assert one.post("/", b"abc", max_bytes=10).body == b"abc"
    assert len(set(ports)) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_kept_connection_that_the_server_closed_is_opened_again(
    start: Start, method: str
) -> None:
    running = start()
    with client(running) as one:
        one.get("/", max_bytes=10)
        running.loop.call_soon_threadsafe(
            lambda: [task.cancel() for task in running.server._tasks.values()]
        )
        assert running.until(lambda: running.server.connections == 0)
        assert one.request(method, "/", max_bytes=10).status == 200


ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "second", "sent"),
    [
        ("GET", b"", 3),
        ("POST", b"", 2),  # it may have been done: whether it may be repeated, nobody knows
        ("GET", ANSWER[:20], 2),  # something of an answer came
    ],
)
def test_what_a_server_took_is_sent_again_only_if_it_may_be_and_nothing_was_answered(
    identity: Identity, method: str, second: bytes, sent: int
) -> None:
    """The server closes the kept connection after it has the second request."""
    taken: list[bytes] = []
    with answering(identity, [[ANSWER, second], [ANSWER]], taken) as one:
        assert one.get("/1", max_bytes=10).status == 200
        if sent == 3:
            assert one.request(method, "/2", max_bytes=10).status == 200
        else:
            with pytest.raises(Unavailable, match=r"closed the connection|broke its answer off"):
                one.request(method, "/2", max_bytes=10)
    assert len(taken) == sent


def test_a_fresh_connection_that_the_server_closes_is_not_tried_again(identity: Identity) -> None:
    taken: list[bytes] = []
    with answering(identity, [[b""], [ANSWER]], taken) as one, pytest.raises(Unavailable):
        one.get("/1", max_bytes=10)
    assert len(taken) == 1


def test_a_server_under_another_root_is_untrusted(start: Start) -> None:
    running = start()
    one = HttpsClient(
        f"https://localhost:{running.port}",
        tls=client_context(roots_pem=running.identity.other_roots),
    )
    with pytest.raises(Rejected) as caught:
        one.get("/", max_bytes=10)
    assert caught.value.reason == "untrusted-server"


def test_a_server_under_another_name_is_untrusted_though_resolve_leads_to_it(start: Start) -> None:
    running = start()
    one = HttpsClient(
        "https://other.example",
        tls=running.context(),
        resolve={"other.example:443": f"127.0.0.1:{running.port}"},
    )
    with pytest.raises(Rejected, match="certificate"):
        one.get("/", max_bytes=10)


def test_an_answer_over_the_bound_is_refused(start: Start) -> None:
    with client(start()) as one, pytest.raises(Rejected) as caught:
        one.post("/", b"x" * 5000, max_bytes=1000)
    assert caught.value.reason == "too-large"


def test_a_redirect_is_not_followed(start: Start) -> None:
    async def away(request: Request) -> Response:
        return Response(302, {"location": "https://evil.example/"})

    with client(start(away)) as one:
        assert one.get("/", max_bytes=10).status == 302


def test_a_stream_resumes_from_its_offset(start: Start) -> None:
    async def ranged(request: Request) -> Response:
        first = int(request.headers["range"][6:-1])
        return Response(206, {"content-range": f"bytes {first}-9/10"}, b"0123456789"[first:])

    with client(start(ranged)) as one, one.stream("/", offset=4) as answer:
        assert b"".join(answer.chunks) == b"456789"


@pytest.mark.parametrize(
    ("status", "headers"), [(200, {}), (206, {"content-range": "bytes 0-9/10"}), (206, {})]
)
def test_a_server_that_ignores_the_offset_is_refused(
    start: Start, status: int, headers: dict[str, str]
) -> None:
    async def ignore(request: Request) -> Response:
        return Response(status, headers, b"0123456789")

    with (
        client(start(ignore)) as one,
        pytest.raises(Rejected, match="range"),
        one.stream("/", offset=4),
    ):
        pass


def test_a_server_that_drips_its_header_runs_out_of_time(identity: Identity) -> None:
    def drip(tls: ssl.SSLSocket) -> None:
        tls.sendall(b"HTTP/1.1 200 OK\r\nx: ")
        for _ in range(600):
            tls.sendall(b"a")
            time.sleep(0.05)

    begun = time.monotonic()
    with hostile(identity, drip) as one, pytest.raises(Unavailable, match="in time"):
        one.get("/", max_bytes=10)
    assert time.monotonic() - begun < 20  # it drips for 30


def test_a_server_that_drips_its_body_runs_out_of_time(identity: Identity) -> None:
    def drip(tls: ssl.SSLSocket) -> None:
        tls.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        for _ in range(100):
            tls.sendall(b"a")
            time.sleep(0.05)

    with hostile(identity, drip) as one, pytest.raises(Unavailable, match="in time"):
        one.get("/", max_bytes=1000)


@pytest.mark.parametrize(
    "answer",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000,
    ],
)
def test_an_answer_that_is_not_http_is_malformed(identity: Identity, answer: bytes) -> None:
    with hostile(identity, lambda tls: tls.sendall(answer)) as one, pytest.raises(Rejected) as bad:
        one.get("/", max_bytes=10)
    assert bad.value.reason == "malformed"


def test_an_answer_that_breaks_off_is_never_taken_for_whole(identity: Identity) -> None:
    broken = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"
    with (
        hostile(identity, lambda tls: tls.sendall(broken)) as one,
        pytest.raises((Unavailable, Rejected)),
    ):
        one.get("/", max_bytes=10)


def test_a_dead_port_is_unavailable_with_one_clear_line(identity: Identity) -> None:
    with held_port() as port:
        one = HttpsClient(f"https://localhost:{port}", tls=client_context(roots_pem=identity.roots))
        with pytest.raises(Unavailable, match=f"cannot reach localhost port {port}"):
            one.get("/", max_bytes=10)


@pytest.mark.parametrize("url", ["http://a.example", "https://", "https://u@a.example", "a"])
def test_only_a_plain_https_url_is_taken(identity: Identity, url: str) -> None:
    with pytest.raises(Misuse):
        HttpsClient(url, tls=client_context(roots_pem=identity.roots))


def test_a_header_cannot_carry_another_request(start: Start) -> None:
    with client(start()) as one, pytest.raises(Misuse):
        one.get("/", max_bytes=10, headers={"x": "a\r\nhost: b"})
    with client(start()) as one, pytest.raises(Misuse):
        one.get("/ HTTP/1.1\r\nx: y", max_bytes=10)
