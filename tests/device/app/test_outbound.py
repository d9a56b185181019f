"""A product's way out, and the process that opens it."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.device.app.conftest import Lamp, make_app
from tests.ports import held_port

from limpet.device.app._dialer import MAX_ENDPOINTS, Dialer, Endpoint
from limpet.device.app._outbound import Outbound
from limpet.device.app.testing import Simulator
from limpet.errors import Misuse, Rejected, Unavailable

NEWS = Endpoint("news", "news.example.com", 443)
PATIENCE = 60.0


@contextmanager
def _dialer(address: str) -> Iterator[Dialer]:
    """A dialer to one endpoint that leads to `address`; not confined, which other tests are."""
    dialer = Dialer((NEWS,), resolve={"news.example.com:443": address})
    dialer.start(lambda: None)
    try:
        yield dialer
    finally:
        assert dialer._link is not None
        dialer._link.close()
        os.wait()  # it ends by itself when the app is gone


def test_the_declared_endpoint_is_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        with _dialer(f"{host}:{port}") as dialer:
            assert dialer.ports == (port,)
            for _ in range(3):
                with dialer.dial(NEWS, seconds=PATIENCE) as connection:
                    peer, _ = server.accept()
                    connection.sendall(b"x")
                    assert peer.recv(1) == b"x"
                    peer.close()


@pytest.mark.parametrize("request_", [b"", b"\x00", b"\x00\x00\x00\x01", b"x" * 500, b"\xff" * 4])
def test_what_is_no_request_or_no_endpoint_opens_nothing(request_: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        with _dialer(f"{host}:{port}") as dialer:
            assert dialer._link is not None
            if request_:
                dialer._link.send(request_)
            with dialer.dial(NEWS, seconds=PATIENCE):  # it still serves, and answered this one
                server.accept()[0].close()
            server.settimeout(0.1)
            with pytest.raises(TimeoutError):
                server.accept()


def test_a_host_that_is_not_there_is_unavailable_and_the_next_call_works() -> None:
    with held_port() as port, _dialer(f"127.0.0.1:{port}") as dialer:
        with pytest.raises(Unavailable, match="refused"):
            dialer.dial(NEWS, seconds=PATIENCE)
        with (
            socket.create_server(("127.0.0.1", port)) as server,
            dialer.dial(NEWS, seconds=PATIENCE),
        ):
            server.accept()[0].close()


def test_what_is_not_declared_is_the_products_own_bug(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="not declared"):
        Dialer((), resolve={}).dial(NEWS, seconds=1)
    simulator: Simulator[Lamp] = Simulator(make_app(), tmp_path)
    with pytest.raises(Misuse, match="declares no such way out"):
        simulator.product.device.https("news")


def test_a_product_without_a_flow_has_no_dialer() -> None:
    dialer = Dialer((), resolve={})
    dialer.start(lambda: pytest.fail("a process was started"))
    assert dialer._link is None


def test_the_number_of_endpoints_is_bounded() -> None:
    with pytest.raises(Rejected, match="at most"):
        Dialer([NEWS] * (MAX_ENDPOINTS + 1), resolve={})


def test_a_product_past_its_support_calls_out_no_more() -> None:
    """The control is the same app while it is supported: what it did not declare is its mistake."""
    for is_over, error in ((True, Rejected), (False, Misuse)):
        outbound = Outbound(Dialer((), resolve={}), is_over=is_over)
        with pytest.raises(error) as refused:
            outbound.client("news")
        assert getattr(refused.value, "reason", "support-over") == "support-over"
