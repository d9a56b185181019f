"""A lying name server: its answers into the owner's network, and connections never made."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.product.namespaces import join, need_namespaces, network

from limpet.device.link import messages as m
from limpet.device.link.destinations import (
    MOST_ADDRESSES,
    Destination,
    destination,
    verify_address,
)
from limpet.device.updater.enrollment import Errand
from limpet.errors import Rejected, Unavailable

VENDOR = "vendor.example.com"
PUBLIC = ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"]
PRIVATE = ["10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.9"]
PRIVATE += ["fd00::1", "fe80::1", "fe80::1%eth0", "::ffff:192.168.1.1", "64:ff9b::c0a8:101"]
PRIVATE += ["2002:c0a8:101::1", "64:ff9b:1::c0a8:101", "198.18.0.1", "192.0.2.1"]
NOWHERE = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"]
NOWHERE += ["0.0.0.0", "::", "224.0.0.251", "ff02::fb"]  # noqa: S104
NOWHERE += ["255.255.255.255", "240.0.0.1", "not an address", ""]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_host_of_the_internet_is_in_the_internet(address: str) -> None:
    verify_address(VENDOR, address)


@pytest.mark.parametrize("address", PRIVATE + NOWHERE)
def test_a_host_of_the_internet_is_not_in_the_owners_network(address: str) -> None:
    with pytest.raises(Rejected) as refusal:
        verify_address(VENDOR, address)
    assert refusal.value.reason == "address-not-allowed"


@pytest.mark.parametrize("host", ["meter.local", "meter.home.arpa", "vendor.internal", "meter"])
def test_a_local_host_may_be_in_the_owners_network_and_not_in_the_device(host: str) -> None:
    for address in PRIVATE + PUBLIC:
        verify_address(host, address)
    for address in NOWHERE:
        with pytest.raises(Rejected):
            verify_address(host, address)


@pytest.mark.parametrize("host", ["meter.local.example.com", "local.com", "xinternal.com"])
def test_a_name_that_only_looks_local_is_not(host: str) -> None:
    with pytest.raises(Rejected):
        verify_address(host, "192.168.1.1")


def _answering(*addresses: str) -> Any:
    def look_up(host: str, port: int, **_: object) -> Iterable[tuple[Any, ...]]:
        return [(None, None, None, "", (address, port)) for address in addresses]

    return look_up


def test_of_mixed_answers_only_the_hosts_own_are_used_in_their_order() -> None:
    found = Destination(VENDOR, 443).addresses(
        _answering("192.168.1.1", "9.9.9.9", "127.0.0.1", "8.8.8.8", "9.9.9.9")
    )
    assert found == (("9.9.9.9", 443), ("8.8.8.8", 443))


def test_hundreds_of_answers_are_not_tried_one_by_one() -> None:
    many = [f"8.8.{n >> 8}.{n & 255}" for n in range(500)]
    assert len(Destination(VENDOR, 443).addresses(_answering(*many))) == MOST_ADDRESSES


def test_no_answer_and_an_odd_name_are_unavailable() -> None:
    with pytest.raises(Unavailable, match="no address"):
        Destination(VENDOR, 443).addresses(_answering())

    def fail(*_: object, **__: object) -> Iterable[tuple[Any, ...]]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(Unavailable, match="name or service not known"):
        Destination(VENDOR, 443).addresses(fail)


def test_where_boot_was_told_to_go_is_not_looked_up() -> None:
    found = destination(VENDOR, 443, {f"{VENDOR}:443": "127.0.0.1:9443"})
    assert found.addresses(lambda *_, **__: pytest.fail("asked")) == (("127.0.0.1", 9443),)
    assert destination(VENDOR, 444, {f"{VENDOR}:443": "127.0.0.1:9443"}).override is None


def test_an_errand_of_enrollment_asks_nobody_at_an_address_that_is_not_the_vendors() -> None:
    async def ask(_: m.EnrollStart | m.EnrollFeed) -> m.Reply:
        raise AssertionError("the keeper was asked")

    with pytest.raises(Rejected) as refusal:
        asyncio.run(Errand(ask, Destination("localhost", 443)).run("csr"))
    assert refusal.value.reason == "address-not-allowed"


CALL = """
import socket, ssl, sys
from limpet.device.app._dialer import Dialer, Endpoint
from limpet.device.updater.source import make_client
from limpet.errors import LimpetError
for what in ("updater", "app"):
    try:
        if what == "updater":
            tls = ssl.create_default_context()
            client = make_client(sys.argv[1], tls=tls, allowed=(sys.argv[1],), resolve={})
            client.get("/", max_bytes=100)
        else:
            endpoint = Endpoint("portal", sys.argv[1], 443)
            dialer = Dialer([endpoint], resolve={})
            dialer.start(lambda: None)
            dialer.dial(endpoint, seconds=5).close()
        print("connected")
    except LimpetError as error:
        print(getattr(error, "reason", ""), error.message)
"""
LISTEN = """
import socket, sys, time
made = socket.socket(socket.AF_INET6)
made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
made.bind(("::", 443))
made.listen()
print("ready", flush=True)
made.settimeout(20)
try:
    while True:
        print("knocked", made.accept()[1][0], flush=True)
except OSError:
    pass
"""


@pytest.mark.parametrize(
    ("address", "connects"), [("127.0.0.1", False), ("10.77.0.1", False), ("203.0.115.9", True)]
)
def test_nobody_in_the_owners_network_is_knocked_at(
    tmp_path: Path, address: str, connects: bool
) -> None:
    """The last row is the control: with an address of the Internet both do connect."""
    need_namespaces()
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{address} {VENDOR}\n")
    with network("device", "world") as spaces:
        device, world = spaces["device"], spaces["world"]
        join(device, world, ours=["10.77.0.2/24"], theirs=["10.77.0.1/24", "203.0.115.9/32"])
        device.run("ip", "route", "add", "default", "via", "10.77.0.1")
        place = device if address.startswith("127.") else world
        listener = subprocess.Popen(
            place.command(sys.executable, "-I", "-c", LISTEN), stdout=subprocess.PIPE, text=True
        )
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        script = f'mount --bind {hosts} /etc/hosts && exec {sys.executable} -c "$0" {VENDOR}'
        said = device.run("unshare", "--mount", "sh", "-c", script, CALL).splitlines()
        listener.terminate()
        knocked = listener.stdout.read()
        listener.wait(60)
    if connects:
        assert "knocked" in knocked
        assert said[1] == "connected"
    else:
        assert knocked == ""
        assert said[0].startswith("address-not-allowed")
        assert "not an address of that host" in said[1]
