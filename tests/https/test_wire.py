"""The parts below a connection: one timer for all phases, bytes in bounds, headers as bytes."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import h11
import pytest

from limpet.errors import Misuse
from limpet.https import _wire as subject
from limpet.https._head import NO_HEADERS, fixed_headers, render_head
from limpet.https._wire import Deadline, Wire


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 60))


class Pausable(asyncio.Transport):
    """Counts how often it was told to read or not to."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reading_now = True

    def pause_reading(self) -> None:
        self.is_reading_now = False

    def resume_reading(self) -> None:
        self.is_reading_now = True


async def _wake_often() -> None:
    for _ in range(1000):
        await asyncio.sleep(0.01)


def test_a_block_ends_when_its_time_is_over_however_often_it_wakes() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        deadline, begun = Deadline(loop), loop.time()
        with pytest.raises(TimeoutError), deadline.within(0.2):
            await _wake_often()
        assert 0.19 < loop.time() - begun < 9
        await asyncio.sleep(0.01)  # the task is as usable as before
        deadline.close()

    _run(work())


def test_a_shorter_block_is_not_held_up_by_the_timer_of_a_longer_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "LOOK_SECONDS", 50.0)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop)
        with deadline.within(60):
            await asyncio.sleep(0)
        begun = loop.time()
        with pytest.raises(TimeoutError), deadline.within(0.1):
            await asyncio.sleep(60)
        assert loop.time() - begun < 30
        deadline.close()

    _run(work())


def test_a_block_longer_than_the_timer_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "LOOK_SECONDS", 0.05)

    async def work() -> None:
        loop = asyncio.get_running_loop()
        deadline, begun = Deadline(loop), loop.time()
        with pytest.raises(TimeoutError), deadline.within(0.3):
            await asyncio.sleep(60)
        assert 0.29 < loop.time() - begun < 30
        deadline.close()

    _run(work())


def test_time_that_is_over_between_two_blocks_hurts_neither() -> None:
    async def work() -> None:
        deadline = Deadline(asyncio.get_running_loop())
        with deadline.within(0.02):
            pass
        await asyncio.sleep(0.05)
        with deadline.within(5):
            await asyncio.sleep(0.05)
        deadline.close()

    _run(work())


def test_who_cancels_the_task_is_not_mistaken_for_the_deadline() -> None:
    async def work() -> None:
        async def wait() -> None:
            with Deadline(asyncio.get_running_loop()).within(5):
                await asyncio.sleep(60)

        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    _run(work())


def test_a_peer_is_not_read_from_until_what_it_sent_was() -> None:
    async def work() -> None:
        wire, transport = Wire(asyncio.get_running_loop(), limit=100), Pausable()
        wire.connection_made(transport)
        wire.data_received(b"x" * 60)
        assert transport.is_reading_now
        wire.data_received(b"y" * 60)
        assert not transport.is_reading_now
        assert await wire.read() == b"x" * 60 + b"y" * 60
        assert transport.is_reading_now

    _run(work())


def test_a_broken_connection_is_told_from_an_ended_one() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        ended, broken = Wire(loop, limit=100), Wire(loop, limit=100)
        ended.eof_received()
        assert await ended.read() == b""
        reading = asyncio.ensure_future(broken.read())
        await asyncio.sleep(0)
        broken.connection_lost(OSError("reset"))
        with pytest.raises(ConnectionResetError):
            await reading
        with pytest.raises(ConnectionResetError):
            broken.write(b"x")

    _run(work())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "a\r\nset-cookie: b=c"),
        ("x\r\ny", "a"),
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive"),
        ("date", "now"),
    ],
)
def test_a_fixed_header_can_neither_split_nor_frame_an_answer(name: str, value: str) -> None:
    with pytest.raises(Misuse):
        fixed_headers({name: value})


def test_an_answers_own_header_cannot_split_it() -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    connection.next_event()
    with pytest.raises(h11.LocalProtocolError):
        render_head(connection, 200, {"x": "a\r\ny: b"}, fixed=NO_HEADERS, length=0, close=False)


def test_a_head_is_read_by_a_client_with_every_header_once() -> None:
    server, client = h11.Connection(h11.SERVER), h11.Connection(h11.CLIENT)
    server.receive_data(
        client.send(h11.Request(method="GET", target="/", headers=[("host", "a")])) or b""
    )
    server.next_event()
    fixed = fixed_headers({"cache-control": "no-store", "x-content-type-options": "nosniff"})
    head = render_head(
        server, 200, {"content-type": "text/plain"}, fixed=fixed, length=0, close=True
    )
    client.receive_data(head)
    answer = client.next_event()
    assert isinstance(answer, h11.Response)
    assert sorted(name for name, _ in answer.headers) == [
        b"cache-control", b"connection", b"content-length", b"content-type", b"date",
        b"x-content-type-options",
    ]  # fmt: skip
