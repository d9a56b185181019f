"""A taken announcer against the packet filter of the device's design, in the test's own network.

Over IPv4 its socket is held to the link by the kernel (`test_network`); over IPv6 it is not, and
no hop limit helps, which whoever has the socket sets as he likes. What holds it is the filter.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device.announcer.conftest import (
    DEVICE_4,
    DEVICE_6,
    EVERYWHERE,
    FAR_4,
    FAR_6,
    PEER_4,
    PEER_6,
    Announcing,
    Cable,
)
from tests.device.announcer.test_network import GROUP_4, GROUP_6, asker, question
from tests.device.workshop import example_product
from tests.product.namespaces import need_namespaces

from limpet.device.announcer.messages import Kind
from limpet.device.announcer.network import Voice

TRIES = 5  # half a second apart: a new interface still asks whether its address is taken
ANNOUNCER, OTHER, ROUTED = 61011, 61012, "10.97.0.7"
"""Two users; an address behind the router that the rules count as local."""


def load_rules(cable: Cable, announcer: int) -> None:
    """What `limpet product nftables` prints for the thermostat, on the device."""
    users = ["--updater-user", "61009", "--app-user", "61010", "--announcer-user", str(announcer)]
    made = subprocess.run(
        [sys.executable, "-m", "limpet", "product", "nftables", str(example_product()), *users],
        capture_output=True, text=True, timeout=150, check=True,
    )  # fmt: skip
    nft = ["ip", "netns", "exec", cable.names["device"], "nft", "-f", "-"]
    subprocess.run(nft, input=made.stdout, text=True, timeout=150, check=True)


@pytest.fixture
def unfiltered(cable: Cable) -> Iterator[Cable]:
    """The device without rules, and without them again at the end."""
    need_namespaces()
    cable.ip("-n", cable.names["peer"], "addr", "add", f"{ROUTED}/32", "dev", "lo")
    yield cable
    cable.ip("-n", cable.names["peer"], "addr", "del", f"{ROUTED}/32", "dev", "lo")
    nft = ["ip", "netns", "exec", cable.names["device"], "nft", "flush", "ruleset"]
    subprocess.run(nft, timeout=150, check=True)


@contextlib.contextmanager
def taken(cable: Cable, version: int, user: int) -> Iterator[socket.socket]:
    """The announcer's socket as an attacker in the process has it, opened by `user`."""
    with cable.inside("device"):
        os.seteuid(user)  # the filter sees who opened the socket
        try:
            voice = Voice(version)
        finally:
            os.seteuid(0)
    with contextlib.closing(voice), socket.socket(fileno=os.dup(voice.fileno())) as one:
        if version == 6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 0)
        yield one


def reaches(cable: Cable, one: socket.socket, *addresses: str) -> set[str]:
    """At which of the peer's addresses a datagram of `one` arrives."""
    found = set()
    for address in addresses:
        with asker(cable, address) as there:
            there.settimeout(0.5)
            for _ in range(TRIES):
                with contextlib.suppress(OSError):  # it is refused, or does not come
                    one.sendto(b"taken", there.getsockname())
                    assert there.recv(100) == b"taken"
                    found.add(address)
                    break
    return found


def hears_in_group(cable: Cable, one: socket.socket) -> bool:
    """Whether what `one` sends to the group of IPv6 arrives at the peer's."""
    with cable.inside("peer"):
        index = socket.if_nametoindex("cable")
        there = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        there.bind(("ff02::fb", 5353, 0, index))
        joined = socket.inet_pton(socket.AF_INET6, GROUP_6) + index.to_bytes(4, sys.byteorder)
        there.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)
    with there, cable.inside("device"):
        there.settimeout(0.6)
        own = socket.if_nametoindex("cable")
        with contextlib.suppress(OSError):
            one.sendto(b"taken", (GROUP_6, 5353, 0, own))
            return there.recv(100) == b"taken"
    return False


def test_over_ipv6_it_reaches_nobody_beyond_its_link_behind_the_rules(unfiltered: Cable) -> None:
    with taken(unfiltered, 6, ANNOUNCER) as one:
        assert reaches(unfiltered, one, PEER_6, FAR_6) == {PEER_6, FAR_6}  # the gap, without rules
        load_rules(unfiltered, ANNOUNCER)
        assert reaches(unfiltered, one, PEER_6, FAR_6) == set()
        assert hears_in_group(unfiltered, one)


def test_over_ipv4_it_reaches_its_own_network_only(unfiltered: Cable) -> None:
    """Private addresses behind a router pass the filter: there it is the socket that is held."""
    with taken(unfiltered, 4, ANNOUNCER) as one:
        load_rules(unfiltered, ANNOUNCER)
        assert reaches(unfiltered, one, PEER_4, FAR_4, ROUTED) == {PEER_4}


@pytest.mark.parametrize(("version", "near"), [(4, PEER_4), (6, PEER_6)], ids=["IPv4", "IPv6"])
def test_the_rules_let_no_other_user_send_from_the_announcers_port(
    unfiltered: Cable, version: int, near: str
) -> None:
    with taken(unfiltered, version, OTHER) as one:
        assert reaches(unfiltered, one, near) == {near}
        load_rules(unfiltered, ANNOUNCER)
        assert reaches(unfiltered, one, near) == set()


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
def test_behind_the_rules_the_real_announcer_still_answers_single_askers_and_the_group(
    unfiltered: Cable, announcing: Announcing, version: int
) -> None:
    status = Path(f"/proc/{announcing.pid}/status").read_text()
    load_rules(unfiltered, int(status.partition("Uid:")[2].split()[0]))
    announcing.say(listens_on=EVERYWHERE if version == 4 else "::")
    time.sleep(1.5)
    asked = question("th-a1b2c3d4.local", Kind.A if version == 4 else Kind.AAAA)
    group = GROUP_4 if version == 4 else GROUP_6
    alone = (DEVICE_4, 5353) if version == 4 else (DEVICE_6, 5353)
    with asking(unfiltered, version) as one:
        one.sendto(asked, (group, 5353))
        one.settimeout(30)
        assert one.recv(2000)[:2] == asked[:2]
    with asking(unfiltered, version) as one:
        one.sendto(asked, alone)
        with pytest.raises(TimeoutError):  # nobody need ask it alone: the rules open the group
            one.recv(2000)


@contextlib.contextmanager
def asking(cable: Cable, version: int) -> Iterator[socket.socket]:
    """A socket of the peer's; over IPv6 with the link's own address, as a group is asked from."""
    if version == 4:
        with asker(cable) as one:
            yield one
        return
    with cable.inside("peer"), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
        index = socket.if_nametoindex("cable")
        one.bind((link_local(cable), 0, 0, index))
        one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        one.settimeout(1.0)
        yield one


def link_local(cable: Cable) -> str:
    """The peer's own address on the cable."""
    command = ["ip", "-n", cable.names["peer"], "-6", "-brief", "address", "show", "scope", "link"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True).stdout
    return next(word.partition("/")[0] for word in shown.split() if word.startswith("fe80"))
