"""Turns: strangers' work is spaced while a known client is there, as arithmetic and on sockets."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from tests.https.conftest import Running, Start, read_answer

from limpet.https.admission import DEVICE, FRONT, Admission
from limpet.https.message import Request, Response
from limpet.https.pace import Pace, Turns

PACE = Pace(per_second=10.0, burst=3)
GET = b"GET /a HTTP/1.1\r\nhost: localhost\r\n\r\n"
OWNER_GET = b"GET /owner HTTP/1.1\r\nhost: localhost\r\n\r\n"
FLOOD_SECONDS, OWNER_PAUSE = 2.0, 0.005


def admission(clock: Callable[[], float] = lambda: 0.0) -> Admission:
    return Admission(DEVICE, clock=clock, draw=lambda: 0.99)


def admitted(books: Admission, address: str) -> int:
    number = books.open(address)
    assert isinstance(number, int)
    return number


def test_a_burst_comes_at_once_and_the_rest_evenly() -> None:
    turns = Turns(PACE)
    waits = [round(turns.take(100.0), 6) for _ in range(6)]
    assert waits == [0, 0, 0, 0.1, 0.2, 0.3]
    assert turns.take(200.0) == 0  # a quiet time later the burst is there again


@given(st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_no_window_holds_more_turns_than_burst_and_rate_allow(steps: list[float]) -> None:
    turns, now, given_at = Turns(PACE), 0.0, []
    for step in steps:
        now += step
        given_at.append(now + turns.take(now))
    assert given_at == sorted(given_at)
    for first, begin in enumerate(given_at):
        for count, end in enumerate(given_at[first:], start=1):
            assert count <= PACE.burst + PACE.per_second * (end - begin) + 1e-6


def test_a_turn_that_is_given_back_is_the_next_ones() -> None:
    turns = Turns(PACE)
    for _ in range(5):
        turns.take(0.0)
    turns.give_back()
    assert round(turns.take(0.0), 6) == 0.2


def test_strangers_wait_only_while_somebody_known_is_connected_or_just_left() -> None:
    now = [0.0]
    books = admission(lambda: now[0])
    stranger = admitted(books, "10.0.0.1")
    assert all(books.turn(stranger) is None for _ in range(1000))
    owner = admitted(books, "10.0.0.2")
    books.promote(owner)
    assert _waits(books, stranger)
    books.close(owner)
    now[0] += DEVICE.guest_seconds - 1
    assert _waits(books, stranger)  # or a flood takes the moment in which the owner comes anew
    now[0] += 2
    assert all(books.turn(stranger) is None for _ in range(1000))


def test_an_authenticated_connection_never_waits_and_strangers_cannot_take_a_known_ones_turns() -> (
    None
):
    books = admission()
    owner = admitted(books, "10.0.0.2")
    books.promote(owner)
    stranger = admitted(books, "10.0.0.1")
    assert _waits(books, stranger, tries=5000)
    assert books.turn(owner) is None
    again = admitted(books, "10.0.0.2")  # the owner's next connection, not authenticated yet
    assert books.turn(again) is None


def test_connections_that_are_closed_while_they_wait_do_not_push_the_turns_away() -> None:
    async def scenario() -> float:
        books = admission()
        books.promote(admitted(books, "10.0.0.2"))
        assert DEVICE.pace is not None
        stranger = admitted(books, "10.0.0.1")
        for _ in range(DEVICE.pace.burst):
            assert books.turn(stranger) is None
        for _ in range(500):
            waiting = books.turn(stranger)
            assert waiting is not None
            task = asyncio.ensure_future(waiting)
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        begun = time.monotonic()
        waiting = books.turn(stranger)
        assert waiting is not None
        await waiting
        return time.monotonic() - begun

    assert asyncio.run(scenario()) < 5  # 500 turns are ten seconds


def test_the_front_of_a_vendor_paces_nobody() -> None:
    books = Admission(FRONT, clock=lambda: 0.0, draw=lambda: 0.99)
    books.promote(admitted(books, "10.0.0.2"))
    stranger = admitted(books, "10.0.0.1")
    assert all(books.turn(stranger) is None for _ in range(10_000))


def test_pipelined_requests_of_strangers_get_their_turns_and_the_owner_is_not_behind_them(
    start: Start,
) -> None:
    running = start(admission=DEVICE)
    assert DEVICE.pace is not None
    served: list[str] = []

    async def handler(request: Request) -> Response:
        served.append(request.path)
        if request.path == "/owner":
            running.server.admission.promote(request.peer.connection_id)
        return Response(200, {}, b"x")

    running.server._handler = handler
    with running.connect("127.0.0.2") as owner:
        owner.sendall(OWNER_GET)
        read_answer(owner)
        over = threading.Event()
        flood = [
            threading.Thread(target=_pipeline, args=(running, f"127.0.1.{number}", over))
            for number in range(1, 7)
        ]
        for thread in flood:
            thread.start()
        time.sleep(0.3)
        begun, asked = time.monotonic(), 0
        served.clear()
        while time.monotonic() - begun < FLOOD_SECONDS:
            owner.sendall(OWNER_GET)
            assert read_answer(owner).endswith(b"x")
            asked += 1
            time.sleep(OWNER_PAUSE)
        strangers = served.count("/a")
        took = time.monotonic() - begun
        over.set()
        for thread in flood:
            thread.join(10)
    assert strangers >= 10  # they are served, too
    assert strangers <= DEVICE.pace.burst + DEVICE.pace.per_second * (took + 0.5)
    assert 3 * asked > strangers  # behind all six of them it would have had one turn in seven


def _waits(books: Admission, number: int, *, tries: int = 100) -> bool:
    """Whether of so many turns some had to wait."""
    waited = [turn for _ in range(tries) if (turn := books.turn(number)) is not None]
    for turn in waited:
        turn.close()  # type: ignore[attr-defined]
    return bool(waited)


def _pipeline(running: Running, source: str, over: threading.Event) -> None:
    """Keep a stranger's connection full of requests; take no answer."""
    with contextlib.suppress(OSError), running.connect(source) as tls:
        tls.settimeout(0.2)
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                tls.sendall(GET * 64)
