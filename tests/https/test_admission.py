"""Admission: the lanes as pure decisions, in simulation, and over real sockets."""

import contextlib
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.https.conftest import Start, read_all, read_answer

from limpet.https.admission import (
    DEVICE,
    FRONT,
    Admission,
    AdmissionLimits,
    Admit,
    Drop,
    Lane,
    Lanes,
    Reason,
    decide_connection,
    source_of,
)
from limpet.https.message import Request, Response

GET = b"GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lanes(total: int, *, mine: int = 0, known: bool = False, known_total: int = 0) -> Lanes:
    return Lanes(
        limits=DEVICE,
        strangers={"10.0.0.1": mine},
        known={},
        stranger_total=total,
        known_total=known_total,
        known_sources={"10.0.0.1": 100.0} if known else {},
        now=0.0,
    )


@pytest.mark.parametrize(
    ("total", "draw", "dropped"),
    [
        (7, 0.0, False),
        (8, 0.29, True),
        (8, 0.31, False),
        (20, 0.64, True),
        (20, 0.66, False),
        (31, 0.96, True),
        (32, 0.9999, True),
    ],
)
def test_random_early_drop_rises_from_30_percent_at_8_to_all_at_32(
    total: int, draw: float, dropped: bool
) -> None:
    assert isinstance(decide_connection(lanes(total), "10.0.0.1", draw), Drop) is dropped


def test_a_fifth_unauthenticated_connection_of_one_source_is_dropped() -> None:
    assert decide_connection(lanes(4, mine=3), "10.0.0.1", 0.5) == Admit(Lane.STRANGER)
    assert decide_connection(lanes(4, mine=4), "10.0.0.1", 0.5) == Drop(Reason.SOURCE)


def test_a_known_source_gets_a_reserved_slot_when_strangers_hold_all_others() -> None:
    assert decide_connection(lanes(32), "10.0.0.1", 0.5) == Drop(Reason.FULL)
    assert decide_connection(lanes(32, known=True), "10.0.0.1", 0.5) == Admit(Lane.KNOWN)
    assert decide_connection(lanes(32, known=True, known_total=8), "10.0.0.1", 0.5) == Drop(
        Reason.FULL
    )


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_slash_64(address: str, source: str) -> None:
    assert source_of(address) == source


@given(
    st.lists(st.tuples(st.sampled_from("ocp"), st.integers(0, 40), st.floats(0, 60))), st.randoms()
)
def test_no_order_of_events_exceeds_a_bound(
    events: list[tuple[str, int, float]], random: Random
) -> None:
    clock = Clock()
    admission = Admission(DEVICE, clock=clock, draw=random.random)
    gone: list[int] = []
    admission.evict = gone.append
    live: list[int] = []
    for kind, number, wait in events:
        clock.now += wait
        if kind == "o":
            opened = admission.open(f"10.0.{number // 8}.{number % 8}")
            if isinstance(opened, int):
                live.append(opened)
        elif live and kind == "p":
            admission.promote(live[number % len(live)])
        elif live:
            admission.close(live.pop(number % len(live)))
        live = [one for one in live if one not in gone]
        found = [admission.lane(one) for one in live]
        assert None not in found
        assert found.count(Lane.STRANGER) <= DEVICE.full
        assert found.count(Lane.KNOWN) <= DEVICE.known
        assert found.count(Lane.AUTHENTICATED) <= DEVICE.authenticated


def test_a_stranger_never_evicts_anybody() -> None:
    admission = Admission(DEVICE, clock=Clock(), draw=lambda: 0.99)
    gone: list[int] = []
    admission.evict = gone.append
    for number in range(500):
        admission.open(f"10.1.{number // 250}.{number % 250}")
    assert gone == []
    assert admission.dropped.total() == 500 - DEVICE.full


def test_a_known_source_makes_room_by_its_own_oldest_connection_only() -> None:
    clock = Clock()
    admission = Admission(DEVICE, clock=clock, draw=lambda: 0.99)
    gone: list[int] = []
    admission.evict = gone.append
    session = admission.open("10.0.0.1")
    assert isinstance(session, int)
    admission.promote(session)
    mine = [admission.open("10.0.0.1") for _ in range(8)]
    assert gone == []
    assert isinstance(admission.open("10.0.0.1"), int)
    assert gone == [mine[4]]  # the first in the reserved lane
    assert admission.lane(session) is Lane.AUTHENTICATED


def test_a_source_stops_being_known_after_its_time() -> None:
    clock = Clock()
    admission = Admission(DEVICE, clock=clock, draw=lambda: 0.99)
    session = admission.open("10.0.0.1")
    assert isinstance(session, int)
    admission.promote(session)
    for number in range(200):
        admission.open(f"10.2.0.{number}")
    assert isinstance(admission.open("10.0.0.1"), int)
    clock.now = DEVICE.known_seconds + 1
    assert isinstance(admission.open("10.0.0.1"), Drop)


def test_the_table_of_known_sources_is_bounded() -> None:
    admission = Admission(DEVICE, clock=Clock(), draw=lambda: 0.99)
    for number in range(DEVICE.known_sources * 2):
        opened = admission.open(f"10.3.0.{number}")
        assert isinstance(opened, int)
        admission.promote(opened)
        admission.close(opened)
    assert len(admission._known) == DEVICE.known_sources


def test_the_longest_silent_session_makes_room_for_a_new_one() -> None:
    limits = AdmissionLimits(
        start=8, rate=30, full=32, per_source=4, known=8, authenticated=2, grace_seconds=30
    )
    admission = Admission(limits, clock=Clock(), draw=lambda: 0.99)
    gone: list[int] = []
    admission.evict = gone.append
    first, second, third = (admission.open(f"10.0.0.{number}") for number in range(3))
    assert isinstance(first, int)
    assert isinstance(second, int)
    assert isinstance(third, int)
    for one in (first, second, first, third):
        admission.promote(one)
    assert gone == [second]


def test_slow_strangers_from_many_addresses_do_not_lock_a_known_owner_out(start: Start) -> None:
    running = start(admission=DEVICE)
    admission = running.server.admission

    async def promote(request: Request) -> Response:
        admission.promote(request.peer.connection_id)
        return Response(200, {}, b"owner")

    running.server._handler = promote
    with running.connect("127.0.0.2") as owner:
        owner.sendall(GET)
        assert read_answer(owner).endswith(b"owner")
    silent = []
    for number in range(160):
        with contextlib.suppress(ConnectionResetError):  # dropped before connect() returned
            silent.append(running.plain(f"127.0.{1 + number // 100}.{1 + number % 100}"))
    assert running.until(lambda: admission.dropped.total() > 50)
    begun = time.monotonic()
    for _ in range(5):
        with running.connect("127.0.0.2") as owner:
            owner.sendall(GET)
            assert read_answer(owner).endswith(b"owner")
    assert (
        time.monotonic() - begun < 10
    )  # none of the five waits for a stranger's deadline, which is 10 s
    for sock in silent:
        sock.close()


def test_an_attacker_at_the_owners_address_cannot_lock_it_out_by_holding_connections(
    start: Start,
) -> None:
    running = start(admission=DEVICE)
    admission = running.server.admission

    async def promote(request: Request) -> Response:
        admission.promote(request.peer.connection_id)
        return Response(200, {}, b"owner")

    running.server._handler = promote
    with running.connect() as owner:
        owner.sendall(GET)
        assert read_answer(owner).endswith(b"owner")
        silent = [running.plain() for _ in range(20)]
        with running.connect() as again:
            again.sendall(GET)
            assert read_answer(again).endswith(b"owner")
        owner.sendall(GET)
        assert read_answer(owner).endswith(b"owner")
        for sock in silent:
            sock.close()


def test_a_connection_that_never_authenticates_is_closed_after_its_grace(start: Start) -> None:
    limits = AdmissionLimits(
        start=8, rate=30, full=32, per_source=4, known=8, authenticated=32, grace_seconds=0.6
    )
    running = start(admission=limits)
    begun = time.monotonic()
    with running.connect() as tls:
        while time.monotonic() - begun < 10:
            try:
                tls.sendall(GET)
                if not read_answer(tls):
                    break
            except OSError:
                break
            time.sleep(0.05)
    assert 0.3 < time.monotonic() - begun < 9


def test_a_dropped_connection_gets_no_byte(start: Start) -> None:
    running = start(admission=DEVICE)
    held = [running.plain() for _ in range(4)]
    assert running.until(lambda: running.server.connections == 4)
    with contextlib.suppress(ConnectionResetError), running.plain() as fifth:
        assert read_all(fifth) == b""
    for sock in held:
        sock.close()


def test_the_front_lets_many_devices_behind_one_address_in() -> None:
    admission = Admission(FRONT, clock=Clock(), draw=lambda: 0.0)
    assert all(isinstance(admission.open("192.0.2.1"), int) for _ in range(FRONT.per_source))
    assert admission.patience(1) == float("inf")
