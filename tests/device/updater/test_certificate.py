"""The updater's own certificate, the hosts it may call, and the keeper's errands."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limpet.device.link import messages as m
from limpet.device.link.destinations import Destination
from limpet.device.updater.certificate import (
    load_certificate,
    load_key,
)
from limpet.device.updater.enrollment import Errand
from limpet.device.updater.source import make_client
from limpet.errors import Rejected, Unavailable

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday


def test_the_key_stays_and_a_certificate_for_another_key_is_not_used(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    assert load_key(tmp_path).private_numbers() == key.private_numbers()
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    (tmp_path / "certificate.pem").write_bytes(b"junk")
    assert load_certificate(tmp_path, key) is None


def test_a_host_that_the_product_does_not_declare_is_never_called() -> None:
    with pytest.raises(Rejected) as refused:
        make_client(
            "evil.example",
            tls=None,  # type: ignore[arg-type]
            allowed=("vendor.example.com",),
            resolve={},
        )
    assert refused.value.reason == "host-not-allowed"


def run_errand(*steps: m.Reply) -> tuple[str, bytes]:
    """An errand against a server that echoes, with a keeper that answers by `steps`."""
    answers, fed = list(steps), b""

    async def ask(request: m.EnrollStart | m.EnrollFeed) -> m.Reply:
        nonlocal fed
        if isinstance(request, m.EnrollFeed):
            fed += request.received
        return answers.pop(0)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async def main() -> str:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            address = server.sockets[0].getsockname()
            return await Errand(ask, Destination("vendor.example.com", 443, address)).run("csr")

    return asyncio.run(main()), fed


def test_an_errand_carries_bytes_both_ways_until_there_is_a_certificate() -> None:
    chain, fed = run_errand(m.EnrollStep(send=b"hello"), m.EnrollStep(chain_pem="PEM"))
    assert (chain, fed) == ("PEM", b"hello")


def test_an_errand_ends_with_the_keepers_refusal_or_without_a_certificate() -> None:
    with pytest.raises(Rejected) as refused:
        run_errand(m.Refused(reason="not-mine", message="another serial"))
    assert refused.value.reason == "not-mine"
    with pytest.raises(Unavailable):
        run_errand(m.EnrollStep(finished=True))
    with pytest.raises(Unavailable):
        run_errand(*[m.EnrollStep(send=b"x")] * 100)


def test_an_unreachable_vendor_is_no_crash_of_an_errand() -> None:
    async def ask(request: m.EnrollStart | m.EnrollFeed) -> m.Reply:
        raise AssertionError("asked without a connection")

    with pytest.raises(Unavailable):
        asyncio.run(Errand(ask, Destination("h", 443, ("127.0.0.1", 1))).run("csr"))
