"""Multicast DNS on a real cable: foreign clients find the device, hostile ones get nothing.

What is on the cable is read with a packet socket (packet(7)), not taken from anybody's word.
"""

import asyncio
import contextlib
import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zeroconf
from tests.device.announcer.conftest import (
    DEVICE_4,
    DEVICE_6,
    EVERYWHERE,
    FAR_4,
    PEER_4,
    PEER_6,
    SHORT_IDLE_SECONDS,
    Announcing,
    Cable,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from limpet.device.announcer.messages import Kind, encode_name, name_of
from limpet.device.announcer.network import Voice

GROUP_4, GROUP_6 = "224.0.0.251", "ff02::fb"
ALL_FRAMES, IPV4, UDP = 0x0003, 0x0800, 17
SERVICE = "_limpet._tcp.local"
PATIENCE = 60.0  # seconds


def question(name: str, kind: int = Kind.PTR, *, unicast: bool = False) -> bytes:
    header = struct.pack(">6H", 0x4242, 0, 1, 0, 0, 0)
    return (
        header
        + encode_name(name_of(*name.split(".")))
        + struct.pack(">2H", kind, 1 | (0x8000 if unicast else 0))
    )


class Wire:
    """Every UDP datagram that the device sent since the last look: destination, port, payload."""

    def __init__(self, cable: Cable) -> None:
        with cable.inside("peer"):
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_FRAMES)
            )
            self._socket.bind(("cable", ALL_FRAMES))
        self._socket.settimeout(0.1)

    def answers(self, seconds: float = 0.2) -> list[tuple[str, int, bytes]]:
        """The first datagram, with patience, and what comes `seconds` later."""
        return self.until(lambda data: True) + self.seen(seconds)

    def until(self, looks: Callable[[bytes], bool]) -> list[tuple[str, int, bytes]]:
        """What came until one is as wanted, or for all of `PATIENCE`."""
        found: list[tuple[str, int, bytes]] = []
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not any(looks(data) for _, _, data in found):
            found += self.seen(0.1)
        return found

    def seen(self, seconds: float) -> list[tuple[str, int, bytes]]:
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                data, origin = self._socket.recvfrom(65536)
            except TimeoutError:
                continue
            if origin[2] == socket.PACKET_OUTGOING:
                continue
            if origin[1] == IPV4 and data[9] == UDP:
                assert data[8] in (255, 64)
                start = (data[0] & 15) * 4
                to = socket.inet_ntoa(data[16:20])
            elif origin[1] == 0x86DD and data[6] == UDP:
                start, to = 40, socket.inet_ntop(socket.AF_INET6, data[24:40])
            else:
                continue
            (port,) = struct.unpack_from(">H", data, start + 2)
            found.append((to, port, data[start + 8 :]))
        return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def wire(cable: Cable) -> Iterator[Wire]:
    made = Wire(cable)
    yield made
    made.close()


@contextmanager
def asker(cable: Cable, address: str = PEER_4, port: int = 0) -> Iterator[socket.socket]:
    """A socket of the peer's."""
    six = ":" in address
    with cable.inside("peer"):
        one = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind((address, port))
        if six:
            index = socket.if_nametoindex("cable")
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            one.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(PEER_4))
    one.settimeout(1.0)
    with one:
        yield one


def test_the_announcer_is_confined_and_silent_until_it_is_told(
    announcing: Announcing, wire: Wire
) -> None:
    assert {"landlock", "landlock-network", "seccomp", "capabilities"} <= {*announcing.confinement}
    with asker(announcing.cable) as one:
        one.sendto(question(SERVICE), (GROUP_4, 5353))
        one.sendto(question(SERVICE), (DEVICE_4, 5353))
    assert wire.seen(1.5) == []


def test_a_foreign_browser_finds_the_device_and_forgets_it_when_it_is_turned_off(
    announcing: Announcing,
) -> None:
    events: list[tuple[str, str]] = []

    def changed(zeroconf: object, service_type: str, name: str, state_change: object) -> None:
        events.append((str(state_change).rpartition(".")[2], name))

    async def browse() -> AsyncServiceInfo:
        client = AsyncZeroconf(interfaces=[PEER_4], ip_version=zeroconf.IPVersion.V4Only)
        browser = AsyncServiceBrowser(client.zeroconf, f"{SERVICE}.", handlers=[changed])
        try:
            await _until(lambda: ("Added", name) in events)
            info = AsyncServiceInfo(f"{SERVICE}.", name)
            assert await info.async_request(client.zeroconf, 3000)
            await asyncio.to_thread(announcing.say, on=False)
            await _until(lambda: ("Removed", name) in events)
            return info
        finally:
            await browser.async_cancel()
            await client.async_close()

    name = f"Room Thermostat C3D4.{SERVICE}."
    announcing.say()
    with announcing.cable.inside("peer"):
        info = asyncio.run(browse())
    assert info.server == "th-a1b2c3d4.local."
    assert info.port == 8443
    assert info.parsed_addresses() == [DEVICE_4]
    assert info.properties == {b"api": b"1", b"model": b"thermostat"}


async def _until(look: object) -> None:
    assert callable(look)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if look():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not seen in {PATIENCE:.0f} s")


def test_when_it_is_off_nothing_is_sent_at_all(announcing: Announcing, wire: Wire) -> None:
    announcing.say()
    assert wire.answers()  # the control: this is how it would be seen
    announcing.say(on=False)
    wire.seen(0.5)  # the goodbye
    with asker(announcing.cable, port=5353) as one:
        for _ in range(10):
            one.sendto(question(SERVICE), (GROUP_4, 5353))
            one.sendto(question(SERVICE, unicast=True), (DEVICE_4, 5353))
        assert wire.seen(4) == []


def test_who_is_to_say_nothing_ends_and_who_speaks_stays(soon_at_rest: Announcing) -> None:
    announcing = soon_at_rest
    announcing.say()
    time.sleep(SHORT_IDLE_SECONDS + 3)
    announcing.say(on=False)
    assert announcing.log == []  # it has not asked to rest
    announcing.wait_rest()
    end = time.monotonic() + PATIENCE
    while not _is_gone(announcing.pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def _is_gone(pid: int) -> bool:
    status = _status(pid)
    return not status or "State:\tZ" in status


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("listens_on", "address", "group", "kind"),
    [(EVERYWHERE, PEER_4, GROUP_4, Kind.A), ("::", PEER_6, GROUP_6, Kind.AAAA)],
    ids=["IPv4", "IPv6"],
)
def test_its_name_leads_to_where_it_listens(
    announcing: Announcing, wire: Wire, listens_on: str, address: str, group: str, kind: Kind
) -> None:
    announcing.say(listens_on=listens_on)
    wire.seen(3)  # the announcements
    with asker(announcing.cable, address, 5353) as one:
        one.sendto(question("TH-a1b2C3d4.local", kind), (group, 5353))
        answers = wire.answers(1)
    assert [(to, port) for to, port, _ in answers] == [(group, 5353)]
    packed = (
        socket.inet_aton(DEVICE_4)
        if kind is Kind.A
        else socket.inet_pton(socket.AF_INET6, DEVICE_6)
    )
    assert packed in answers[0][2]


def test_one_who_knows_unicast_only_is_answered_on_the_link_and_nobody_from_afar(
    announcing: Announcing, wire: Wire
) -> None:
    announcing.say()
    wire.seen(3)
    asked = question("th-a1b2c3d4.local", Kind.A)
    with asker(announcing.cable) as near:
        near.sendto(asked, (DEVICE_4, 5353))
        near.settimeout(PATIENCE)
        answer = near.recv(9000)
        assert answer[:2] == asked[:2]
        assert socket.inet_aton(DEVICE_4) in answer
        assert len(answer) < 3 * len(asked)
    with asker(announcing.cable, FAR_4) as far:
        # The control: the far address is one that the device would reach, over this very cable.
        for to in (GROUP_4, DEVICE_4):
            far.sendto(asked, (to, 5353))
            far.sendto(question("th-a1b2c3d4.local", Kind.A, unicast=True), (to, 5353))
        with pytest.raises(TimeoutError):
            far.recv(9000)
    assert not [to for to, _, _ in wire.seen(1) if to == FAR_4]


def test_the_group_is_answered_for_an_asker_of_another_network_on_the_link(
    announcing: Announcing, wire: Wire
) -> None:
    announcing.say()
    wire.seen(3)
    with asker(announcing.cable, FAR_4, 5353) as one:
        one.sendto(question(SERVICE), (GROUP_4, 5353))
        assert [to for to, _, _ in wire.answers(1)] == [GROUP_4]


def test_the_socket_of_a_taken_announcer_reaches_nobody_behind_a_router(cable: Cable) -> None:
    """Over IPv4; Linux does not hold a socket of IPv6 to its link (docs/adr/0101)."""
    with cable.inside("device"):
        voice = Voice(4)
        # As the attacker who is in the process has it, without our code around it.
        taken = socket.socket(fileno=os.dup(voice.fileno()))
        plain = socket.socket(taken.family, socket.SOCK_DGRAM)
    with contextlib.closing(voice), taken, plain:
        for address in (PEER_4, FAR_4):
            with asker(cable, address) as one:
                plain.sendto(b"the control", one.getsockname())
                one.settimeout(PATIENCE)
                assert one.recv(100) == b"the control"
                with contextlib.suppress(OSError):
                    taken.sendto(b"taken", one.getsockname())
                if address == PEER_4:
                    assert one.recv(100) == b"taken"
                else:
                    one.settimeout(1.0)
                    with pytest.raises(TimeoutError):
                        one.recv(100)


def test_a_flood_of_questions_is_answered_once_a_second_and_ten_times_for_single_askers(
    announcing: Announcing, wire: Wire
) -> None:
    announcing.say()
    wire.seen(3)
    stop = threading.Event()
    with asker(announcing.cable, port=5353) as group, asker(announcing.cable) as single:

        def flood() -> None:
            while not stop.is_set():
                group.sendto(question(SERVICE), (GROUP_4, 5353))
                single.sendto(question(SERVICE), (DEVICE_4, 5353))
                time.sleep(0.0005)

        begun, counts = time.monotonic(), Counter[str]()
        thread = threading.Thread(target=flood)
        thread.start()
        while (counts[GROUP_4] < 3 or counts[PEER_4] < 20) and time.monotonic() < begun + PATIENCE:
            counts.update(to for to, _, _ in wire.seen(4))
        stop.set()
        thread.join()
        took = time.monotonic() - begun
    assert 3 <= counts[GROUP_4] <= took + 2
    assert 20 <= counts[PEER_4] <= 20 + 10 * (took + 1)


def test_it_follows_the_network(announcing: Announcing, wire: Wire) -> None:
    announcing.say(listens_on="10.98.7.7")
    assert wire.seen(1) == []  # no such address here
    cable = announcing.cable
    cable.ip("-n", cable.names["device"], "addr", "add", "10.98.7.7/24", "dev", "cable")
    try:
        moved = socket.inet_aton("10.98.7.7")
        seen = wire.until(lambda data: moved in data) + wire.seen(1)
        assert any(moved in data for _, _, data in seen)
        assert not any(socket.inet_aton(DEVICE_4) in data for _, _, data in seen)
    finally:
        cable.ip("-n", cable.names["device"], "addr", "del", "10.98.7.7/24", "dev", "cable")


@pytest.fixture(scope="module")
def talking(cable: Cable, device: Path) -> Iterator[Announcing]:
    """One that has said all that it says by itself."""
    running, heard = Announcing(cable, device), Wire(cable)
    running.say()
    heard.seen(0.3)  # it was said before `say` returned, and is repeated after a second
    assert heard.answers()
    heard.close()
    yield running
    running.close()


HOSTILE = {
    "empty": b"",
    "cut-header": b"\0" * 11,
    "many-questions": struct.pack(">6H", 0, 0, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF) + b"\0" * 400,
    "loop": struct.pack(">6H", 0, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\x0c\0\x01",
    "forward-pointer": struct.pack(">6H", 0, 0, 1, 0, 0, 0) + b"\xc0\x20\0\x0c\0\x01" + b"\0" * 40,
    "two-pointers": struct.pack(">6H", 0, 0, 1, 0, 0, 0) + b"\xc0\x0e\xc0\x0c\0\x0c\0\x01",
    "endless-name": struct.pack(">6H", 0, 0, 1, 0, 0, 0) + b"\x3f" + b"a" * 63 * 20,
    "reserved-label": struct.pack(">6H", 0, 0, 1, 0, 0, 0) + b"\x80abc\0\0\x0c\0\x01",
    "response": struct.pack(">6H", 0, 0x8400, 1, 0, 0, 0) + question(SERVICE)[12:],
    "opcode": struct.pack(">6H", 0, 0x2800, 1, 0, 0, 0) + question(SERVICE)[12:],
    "lying-record": struct.pack(">6H", 0, 0, 1, 1, 0, 0) + question(SERVICE)[12:]
    + encode_name(name_of("x")) + struct.pack(">2HIH", 12, 1, 1, 0xFFFF),
    "other-class": question(SERVICE)[:-2] + b"\0\x03",
    "huge": question(SERVICE) + b"\0" * 8000,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_question_gets_no_answer(talking: Announcing, wire: Wire, name: str) -> None:
    with asker(talking.cable, port=5353) as one:
        one.sendto(HOSTILE[name], (GROUP_4, 5353))
        one.sendto(HOSTILE[name], (DEVICE_4, 5353))
        assert wire.seen(0.4) == []
        time.sleep(0.8)  # once a second
        one.sendto(question(SERVICE), (GROUP_4, 5353))
        assert wire.answers(), "it does not answer any more"


def test_random_datagrams_neither_stop_it_nor_fill_its_memory(
    announcing: Announcing, wire: Wire
) -> None:
    announcing.say()
    wire.seen(2.5)
    before = _memory(announcing.pid)
    source = random.Random(7)  # noqa: S311
    with asker(announcing.cable, port=5353) as one:
        for count in range(20_000):
            data = bytearray(question(SERVICE) + source.randbytes(source.randrange(200)))
            for _ in range(source.randrange(1, 6)):
                data[source.randrange(len(data))] = source.randrange(256)
            one.sendto(data, (GROUP_4, 5353))
            if count % 50 == 0:
                time.sleep(0.002)
        time.sleep(1.5)
        wire.seen(0.5)
        one.sendto(question(SERVICE), (GROUP_4, 5353))
        assert wire.answers(), "it does not answer any more"
    assert _memory(announcing.pid) - before < 1024, "it remembers strangers"


def _memory(pid: int) -> int:
    """Private KiB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
