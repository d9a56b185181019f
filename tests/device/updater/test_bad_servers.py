"""The whole updater against real servers that misbehave: over TLS, on loopback, in bounded time.

What an image's transfer bears is in test_transfer.py; here it is the metadata, which comes first.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.mirror import Asked, Mirror, mirror_of
from tests.device.updater.simulator import RepositorySimulator
from tests.https.conftest import Identity, identity

from limpet.device.updater.check import Outcome

__all__ = ["identity"]

PATIENCE = 1.0
"""Seconds that one file of metadata may take here; 60 on a device."""


def silent(mirror: Mirror, asked: Asked) -> None:
    asked.tls.settimeout(PATIENCE * 3)
    asked.tls.recv(1)


def drips(mirror: Mirror, asked: Asked) -> None:
    asked.say("200 OK", "content-length: 500")
    for _ in range(500):
        asked.tls.sendall(b" ")
        time.sleep(0.05)


def drips_its_head(mirror: Mirror, asked: Asked) -> None:
    asked.tls.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(500):
        asked.tls.sendall(f"x-{number}: y\r\n".encode())
        time.sleep(0.05)


def endless_head(mirror: Mirror, asked: Asked) -> None:
    asked.tls.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        asked.tls.sendall(b"x-more: " + b"y" * 8000 + b"\r\n")


def endless_body(mirror: Mirror, asked: Asked) -> None:
    asked.say("200 OK", "transfer-encoding: chunked")
    while True:
        asked.tls.sendall(b"2000\r\n" + b" " * 0x2000 + b"\r\n")


def endless_by_length(mirror: Mirror, asked: Asked) -> None:
    asked.say("200 OK", f"content-length: {1 << 50}")
    while True:
        asked.tls.sendall(b" " * 65536)


def closes_in_the_middle(mirror: Mirror, asked: Asked) -> None:
    asked.say("200 OK", "content-length: 500", body=b"{" * 100)
    raise ConnectionError


def closes_at_once(mirror: Mirror, asked: Asked) -> None:
    raise ConnectionError


def resets(mirror: Mirror, asked: Asked) -> None:
    asked.cut()


def says_less_than_it_sends(mirror: Mirror, asked: Asked) -> None:
    asked.say("200 OK", "content-length: 3", body=b"{}}" + b"HTTP/1.1 200 OK\r\n\r\n")


def answers(status: str, *headers: str, body: bytes = b"") -> Callable[[Mirror, Asked], None]:
    def answer(mirror: Mirror, asked: Asked) -> None:
        asked.say(status, *headers, f"content-length: {len(body)}", body=body)

    return answer


def not_http(mirror: Mirror, asked: Asked) -> None:
    asked.tls.sendall(b"\x00\xff SSH-2.0-limpet\r\n" * 10)


ELSEWHERE = "location: https://localhost:1/elsewhere"

SERVERS: dict[str, tuple[Callable[[Mirror, Asked], None], str]] = {
    "says nothing": (silent, "too-slow"),
    "drips its body": (drips, "too-slow"),
    "drips its head": (drips_its_head, "too-slow"),
    "has a head without end": (endless_head, "malformed"),
    "has a body without end": (endless_body, "too-large"),
    "promises a petabyte": (endless_by_length, "too-large"),
    "closes in the middle": (closes_in_the_middle, "unreachable"),
    "closes at once": (closes_at_once, "unreachable"),
    "resets the connection": (resets, "unreachable"),
    "sends more than it says": (says_less_than_it_sends, "malformed"),
    "redirects": (answers("302 Found", ELSEWHERE), "unexpected-answer"),
    "redirects for good": (answers("308 Permanent Redirect", ELSEWHERE), "unexpected-answer"),
    "fails": (answers("500 Internal Server Error", body=b"oops"), "unexpected-answer"),
    "is busy": (answers("503 Service Unavailable", "retry-after: 999999999"), "busy"),
    "knows nothing": (answers("404 Not Found"), "missing-file"),
    "asks for a password": (answers("401 Unauthorized"), "unexpected-answer"),
    "answers a part": (answers("206 Partial Content", body=b"{}"), "unexpected-answer"),
    "answers with a page": (answers("200 OK", body=b"<!doctype html><p>Log in"), "malformed"),
    "answers with zeros": (answers("200 OK", body=bytes(4096)), "malformed"),
    "does not speak HTTP": (not_http, "malformed"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_misbehaves_gets_a_named_reason_in_bounded_time(
    bench: Bench, identity: Identity, server: str
) -> None:
    behaviour, reason = SERVERS[server]
    with mirror_of(b"", identity, behaviour) as mirror:
        # Whoever is not slow has time on a loaded machine, too.
        bench.source = mirror.source(total=PATIENCE if reason == "too-slow" else 20 * PATIENCE)
        began = time.monotonic()
        result = bench.check()
        assert time.monotonic() - began < 20 * PATIENCE, "it dripped for longer"
    assert result.reason == reason, result
    assert result.outcome in (Outcome.UNAVAILABLE, Outcome.REFUSED)
    assert all("elsewhere" not in asked.head.split("\r\n")[0] for asked in mirror.asked)
    assert len(mirror.asked) <= 4, "nothing is asked again and again within one check"
    if result.retry_after is not None:
        assert result.retry_after == 999_999_999.0, "the schedule bounds it, see test_schedule.py"
    bench.assert_untouched()


def test_an_honest_server_of_the_same_kind_is_believed(
    bench: Bench, repository: RepositorySimulator, identity: Identity, work: Path
) -> None:
    """The control: nothing above is refused for being served by this server."""
    repository.offer(repository.add_release(work))

    def honest(mirror: Mirror, asked: Asked) -> None:
        path = asked.head.split(" ")[1].removeprefix("/repository/")
        data = repository.files.get(path.replace("%2F", "/"))
        if data is None:
            asked.say("404 Not Found", "content-length: 0")
        elif path.startswith("images/"):
            mirror.data = data
            asked.say(
                "206 Partial Content",
                f"content-range: bytes {asked.first}-{len(data) - 1}/{len(data)}",
                f"content-length: {len(data) - asked.first}",
                body=data[asked.first :],
            )
        else:
            asked.say("200 OK", f"content-length: {len(data)}", body=data)

    with mirror_of(b"", identity, honest) as mirror:
        bench.source = mirror.source()
        assert bench.check().outcome is Outcome.READY
