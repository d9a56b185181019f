"""A tunnel through a proxy: a real one, and those that refuse, lie, drip or never answer."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.device.updater.mirror import Mirror, mirror_of
from tests.https.conftest import Identity
from tests.needs import find_program, need
from tests.ports import held_port

from limpet.crypto.tls import client_context
from limpet.device.link.destinations import destination
from limpet.errors import Rejected, Unavailable
from limpet.https.client import HttpsClient
from limpet.https.proxy import Proxy

USER, PASSWORD = "limpet", "correct horse"
DATA = b"an image" * 1000
PATIENCE = 60.0


def need_tinyproxy() -> str:
    need("tinyproxy", package="tinyproxy-bin", untried="no real proxy was asked")
    return str(find_program("tinyproxy"))


@contextmanager
def tinyproxy(
    place: Path, *lines: str, under: Sequence[str] = (), at: str = "127.0.0.1"
) -> Iterator[tuple[int, Path]]:
    """Debian's tinyproxy on a port of its own; the port and its log. `under` is what starts it."""
    program = need_tinyproxy()
    settings, log = place / "tinyproxy.conf", place / "tinyproxy.log"
    with held_port(at) as port:
        text = [f"Port {port}", f"Listen {at}", "Timeout 30", f'LogFile "{log}"', "LogLevel Info"]
        settings.write_text("\n".join([*text, *lines]) + "\n")
        process = subprocess.Popen(
            [*under, program, "-d", "-c", str(settings)], stdout=subprocess.DEVNULL
        )
        try:
            end = time.monotonic() + 120
            while time.monotonic() < end:
                with contextlib.suppress(OSError), socket.create_connection((at, port), 1):
                    break
                time.sleep(0.05)
            yield port, log
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def mirror(identity: Identity) -> Iterator[Mirror]:
    with mirror_of(DATA, identity) as running:
        yield running


def fetch(identity: Identity, proxy: Proxy, at: int, vendor_port: int) -> bytes:
    """The mirror's file, by its name and through the proxy only."""
    where = destination(
        "localhost", vendor_port, {f"{proxy.host}:{proxy.port}": f"127.0.0.1:{at}"}, lambda: proxy
    )
    tls = client_context(roots_pem=identity.roots)
    with HttpsClient(f"https://localhost:{vendor_port}", tls=tls, connect=where.connect) as client:
        headers = {"range": f"bytes=0-{len(DATA) - 1}"}
        return client.get("/x", max_bytes=len(DATA), headers=headers).body


def test_a_real_proxy_carries_tls_to_the_vendor_end_to_end(
    identity: Identity, mirror: Mirror, tmp_path: Path
) -> None:
    """The proxy alone looks the vendor's name up: the device knows no address of it."""
    with tinyproxy(tmp_path, f"ConnectPort {mirror.port}") as (port, log):
        proxy = Proxy("proxy.internal", 3128)
        assert fetch(identity, proxy, port, mirror.port) == DATA
        assert f"CONNECT localhost:{mirror.port} HTTP/1.1" in log.read_text()


def test_a_real_proxy_with_credentials(identity: Identity, mirror: Mirror, tmp_path: Path) -> None:
    word = "correct-horse"
    with tinyproxy(tmp_path, f"ConnectPort {mirror.port}", f"BasicAuth {USER} {word}") as (port, _):
        good = Proxy("proxy.internal", 3128, USER, word)
        assert fetch(identity, good, port, mirror.port) == DATA
        for bad, said in (
            (Proxy("proxy.internal", 3128), "wants a user name"),
            (Proxy("proxy.internal", 3128, USER, "wrong"), "refuses the user name or password"),
        ):
            with pytest.raises(Unavailable, match=said) as failed:
                fetch(identity, bad, port, mirror.port)
            assert "wrong" not in str(failed.value)
            assert failed.value.hint == "set them for the proxy"


def test_a_real_proxy_that_permits_no_such_port_is_named(
    identity: Identity, mirror: Mirror, tmp_path: Path
) -> None:
    with (
        tinyproxy(tmp_path, "ConnectPort 563") as (port, _),
        pytest.raises(Unavailable, match="does not let this device reach localhost"),
    ):
        fetch(identity, Proxy("proxy.internal", 3128), port, mirror.port)
    assert mirror.asked == []


def test_a_real_proxy_that_cannot_reach_the_vendor_is_named(
    identity: Identity, tmp_path: Path
) -> None:
    with (
        held_port() as nobody,
        tinyproxy(tmp_path, f"ConnectPort {nobody}") as (port, _),
        pytest.raises(Unavailable, match=r"proxy\.internal:3128 .*localhost"),
    ):
        fetch(identity, Proxy("proxy.internal", 3128), port, nobody)


def test_a_proxy_that_puts_itself_in_the_middle_is_not_believed(
    identity: Identity, mirror: Mirror, tmp_path: Path
) -> None:
    """Interception: it answers with a certificate of an authority of its own."""
    strangers = Identity(
        roots=identity.other_roots,
        chain=identity.chain,
        key=identity.key,
        other_roots=identity.roots,
        client_chain=identity.client_chain,
        client_key=identity.client_key,
    )
    with tinyproxy(tmp_path, f"ConnectPort {mirror.port}") as (port, _):
        with pytest.raises(Rejected) as refused:
            fetch(strangers, Proxy("proxy.internal", 3128), port, mirror.port)
        assert refused.value.reason == "untrusted-server"
        assert mirror.asked == []


Play = Callable[[socket.socket], None]


@contextmanager
def false_proxy(play: Play) -> Iterator[int]:
    """A process in the proxy's place that does `play` with each connection."""
    with ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    held.enter_context(connection)
                    with contextlib.suppress(OSError):
                        connection.recv(4096)
                        play(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def say(data: bytes) -> Play:
    return lambda connection: connection.sendall(data)


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


FLOOD = b"HTTP/1.1 200 OK\r\n" + b"x-filler: " + b"a" * 100_000


@pytest.mark.parametrize(
    ("play", "said"),
    [
        (say(b"SSH-2.0-OpenSSH_9\r\n\r\n"), "does not answer HTTP"),
        (say(b"\x05\xff"), "does not answer HTTP"),
        (say(FLOOD), "does not answer HTTP"),
        (say(b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03hello"), "speaks in the place of"),
        (say(b"HTTP/1.1 302 Found\r\nlocation: https://a.example/\r\n\r\n"), "makes no tunnel"),
        (say(b"HTTP/1.1 504 Late\r\n\r\n"), "waited in vain"),
        (hang_up, "closed the connection"),
        (lambda connection: None, "timed out"),
    ],
)
def test_whatever_a_false_proxy_says_is_one_named_error(
    identity: Identity, play: Play, said: str
) -> None:
    with false_proxy(play) as port:
        where = destination(
            "vendor.example.com",
            443,
            {"p.internal:1": f"127.0.0.1:{port}"},
            lambda: Proxy("p.internal", 1, USER, PASSWORD),
        )
        began = time.monotonic()
        with pytest.raises(Unavailable, match=said) as failed:
            where.connect(1.5 if said == "timed out" else PATIENCE)
        assert time.monotonic() - began < PATIENCE / 2
        assert PASSWORD not in str(failed.value)


def test_a_proxy_that_drips_its_answer_has_one_deadline(identity: Identity) -> None:
    def drip(connection: socket.socket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    with false_proxy(drip) as port:
        where = destination(
            "vendor.example.com",
            443,
            {"p.internal:1": f"127.0.0.1:{port}"},
            lambda: Proxy("p.internal", 1),
        )
        began = time.monotonic()
        with pytest.raises(Unavailable, match="timed out"):
            where.connect(1.0)
        assert time.monotonic() - began < 60  # it drips for 100


def test_a_proxys_name_that_leads_into_the_device_is_refused() -> None:
    where = destination("vendor.example.com", 443, {}, lambda: Proxy("localhost", 1))
    with pytest.raises(Rejected) as refused:
        where.connect(1.0)
    assert refused.value.reason == "address-not-allowed"


def test_a_proxy_that_is_not_there_is_named() -> None:
    with held_port() as port:
        nobody = {"p.internal:1": f"127.0.0.1:{port}"}
        where = destination("vendor.example.com", 443, nobody, lambda: Proxy("p.internal", 1))
        with pytest.raises(Unavailable, match=r"use the proxy p\.internal:1: connection ref"):
            where.connect(2.0)


def test_a_proxys_password_is_in_no_text_of_it() -> None:
    assert PASSWORD not in repr(Proxy("p", 1, USER, PASSWORD))
