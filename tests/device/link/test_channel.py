"""Links: what a peer may send, how much of it, and what happens when it does not keep to that."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limpet.device.link import channel as subject
from limpet.device.link import messages as m
from limpet.device.link.channel import Channel
from limpet.device.link.permits import Role
from limpet.errors import Misuse, Rejected, Unavailable
from limpet.wire.codec import encode_packed

LOGIN = m.Login(name="owner", password="correct horse", source="192.0.2.1")


async def _done(caller: Role, request: m.Request) -> m.Reply:
    del caller, request
    return m.Done()


class Pair:
    """A gateway and an `accounts` on one socket pair, in one loop."""

    def __init__(self, answer: subject.Answerer = _done) -> None:
        self.violations: list[tuple[Role, str]] = []
        self.left, self.right = socket.socketpair()
        self.gateway = self._end(Role.GATEWAY, Role.ACCOUNTS, answer)
        self.accounts = self._end(Role.ACCOUNTS, Role.GATEWAY, answer)

    def _end(self, me: Role, peer: Role, answer: subject.Answerer) -> Channel:
        return Channel(
            me=me, peer=peer, answer=answer, violated=lambda *what: self.violations.append(what)
        )

    async def open(self, *, both: bool = True) -> None:
        self.tasks = [asyncio.ensure_future(self.accounts.run(self.right))]
        await self.accounts.wait_open(timeout=20)
        if both:
            self.tasks.append(asyncio.ensure_future(self.gateway.run(self.left)))
            await self.gateway.wait_open(timeout=20)


def _run(work: Callable[[Pair], Awaitable[None]], answer: subject.Answerer = _done) -> Pair:
    async def live() -> Pair:
        pair = Pair(answer)
        await work(pair)
        pair.gateway.close()
        pair.accounts.close()
        return pair

    return asyncio.run(live())


def test_a_permitted_request_gets_its_reply() -> None:
    async def work(pair: Pair) -> None:
        await pair.open()
        assert await pair.gateway.call(LOGIN) == m.Done()

    assert _run(work).violations == []


def test_many_requests_at_once_each_get_their_own_reply() -> None:
    async def answer(caller: Role, request: m.Request) -> m.Reply:
        assert isinstance(request, m.Authenticate)
        await asyncio.sleep(0.001 * (7 - int(request.token) % 8))  # out of order
        return m.Principal(name=request.token, access=m.Access.VIEWER, token_id="t")

    async def work(pair: Pair) -> None:
        await pair.open()
        calls = [pair.gateway.call(m.Authenticate(token=str(n))) for n in range(40)]
        names = [reply.name for reply in await asyncio.gather(*calls)]  # type: ignore[union-attr]
        assert names == [str(n) for n in range(40)]

    _run(work, answer)


def test_a_request_that_the_table_does_not_permit_is_not_even_sent() -> None:
    async def work(pair: Pair) -> None:
        await pair.open()
        with pytest.raises(Misuse, match="accounts may not send Login to gateway"):
            await pair.accounts.call(LOGIN)

    _run(work)


def _frame(kind: int, number: int, body: bytes) -> bytes:
    return struct.pack(">BII", kind, number, len(body)) + body


def _hostile(*frames: bytes) -> Pair:
    """What `accounts` does when a taken gateway writes `frames` to the raw link."""

    async def work(pair: Pair) -> None:
        await pair.open(both=False)
        pair.left.setblocking(False)
        loop = asyncio.get_running_loop()
        for frame in frames:
            await loop.sock_sendall(pair.left, frame)
        pair.left.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(pair.tasks[0], 30)
        pair.left.close()
        assert not pair.accounts.is_open

    return _run(work)


def test_a_forged_request_that_is_not_permitted_ends_the_link_and_is_told() -> None:
    pair = _hostile(_frame(1, 1, encode_packed(m.MintClaimCode())))
    assert pair.violations == [(Role.GATEWAY, "MintClaimCode")]


def test_a_frame_over_the_bound_is_refused_before_it_is_read() -> None:
    pair = _hostile(struct.pack(">BII", 1, 1, m.MESSAGE_BYTES + 1))
    assert pair.violations == [(Role.GATEWAY, "too-large")]


def test_a_frame_of_unknown_kind_is_a_violation() -> None:
    assert _hostile(_frame(9, 1, b"")).violations == [(Role.GATEWAY, "malformed")]


@given(st.binary(max_size=200))
def test_no_bytes_of_a_peer_do_anything_but_end_the_link(body: bytes) -> None:
    violations = _hostile(_frame(1, 7, body)).violations
    assert [who for who, _ in violations] in ([Role.GATEWAY], [])


def test_an_answer_nobody_asked_for_is_dropped() -> None:
    assert _hostile(_frame(2, 77, encode_packed(m.Done()))).violations == []


def test_a_malformed_reply_fails_the_call_and_nothing_else() -> None:
    async def work(pair: Pair) -> None:
        pair.tasks = [asyncio.ensure_future(pair.gateway.run(pair.left))]
        await pair.gateway.wait_open(timeout=20)
        pair.right.setblocking(False)
        loop = asyncio.get_running_loop()
        call = asyncio.ensure_future(pair.gateway.call(LOGIN))
        await loop.sock_recv(pair.right, 1000)
        await loop.sock_sendall(pair.right, _frame(2, 1, b"\xc1"))
        with pytest.raises(Rejected, match="accounts"):
            await call
        assert pair.gateway.is_open
        pair.right.close()

    _run(work)


def test_a_silent_peer_costs_a_caller_no_more_than_its_time_limit() -> None:
    async def answer(caller: Role, request: m.Request) -> m.Reply:
        await asyncio.sleep(60)
        return m.Done()

    async def work(pair: Pair) -> None:
        await pair.open()
        with pytest.raises(Unavailable, match=r"no answer in 0\.05 s"):
            await pair.gateway.call(LOGIN, timeout=0.05)

    _run(work, answer)


def test_a_caller_learns_at_once_that_the_peer_died() -> None:
    async def answer(caller: Role, request: m.Request) -> m.Reply:
        await asyncio.sleep(60)
        return m.Done()

    async def work(pair: Pair) -> None:
        await pair.open()
        call = asyncio.ensure_future(pair.gateway.call(LOGIN))
        await asyncio.sleep(0.02)
        pair.accounts.close()
        with pytest.raises(Unavailable, match="gone"):
            await asyncio.wait_for(call, 30)

    _run(work, answer)


def test_a_flood_of_requests_is_served_in_bounds_and_the_rest_is_told_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "MAX_ASKED", 10_000)  # a caller that ignores its own bound
    at_once = 0
    most = 0

    async def answer(caller: Role, request: m.Request) -> m.Reply:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.05)
        at_once -= 1
        return m.Done()

    async def work(pair: Pair) -> None:
        await pair.open()
        calls = [pair.gateway.call(LOGIN) for _ in range(subject.MAX_SERVED + 50)]
        replies = await asyncio.gather(*calls)
        assert sum(reply == m.Refused(reason="busy") for reply in replies) == 50

    _run(work, answer)
    assert most == subject.MAX_SERVED


def test_a_peer_that_asks_without_reading_is_cut_off_before_its_refusals_heap_up() -> None:
    async def answer(caller: Role, request: m.Request) -> m.Reply:
        await asyncio.sleep(60)
        return m.Done()

    async def work(pair: Pair) -> None:
        await pair.open(both=False)
        pair.left.setblocking(False)
        flood = _frame(1, 1, encode_packed(LOGIN)) * 200_000
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(pair.left, flood), 20)
        await asyncio.wait_for(pair.tasks[0], 30)
        pair.left.close()

    assert _run(work, answer).violations == [(Role.GATEWAY, "flood")]


def test_a_caller_may_not_heap_up_more_than_its_bound() -> None:
    async def answer(caller: Role, request: m.Request) -> m.Reply:
        await asyncio.sleep(0.05)
        return m.Done()

    async def work(pair: Pair) -> None:
        await pair.open()
        calls = [pair.gateway.call(LOGIN) for _ in range(subject.MAX_ASKED + 5)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(result, Unavailable) for result in results) == 5

    _run(work, answer)


def test_a_reply_over_the_bound_becomes_a_refusal() -> None:
    async def answer(caller: Role, request: m.Request) -> m.Reply:
        return m.Answer(json=b"x" * (m.MESSAGE_BYTES + 1))

    async def work(pair: Pair) -> None:
        await pair.open()
        assert await pair.gateway.call(LOGIN) == m.Refused(reason="reply-too-large")

    _run(work, answer)


def test_a_long_text_is_cut_rather_than_taken_for_an_attack() -> None:
    async def answer(caller: Role, request: m.Request) -> m.Reply:
        return m.Refused(reason="no", message="x" * 5000)

    async def work(pair: Pair) -> None:
        await pair.open()
        assert await pair.gateway.call(LOGIN) == m.Refused(reason="no", message="x" * 1024)

    assert _run(work, answer).violations == []


def test_a_new_end_takes_over_where_the_old_peer_died() -> None:
    async def work(pair: Pair) -> None:
        await pair.open()
        pair.accounts.close()
        await asyncio.wait_for(pair.tasks[1], 30)
        left, right = socket.socketpair()
        tasks = [
            asyncio.ensure_future(pair.gateway.run(left)),
            asyncio.ensure_future(pair.accounts.run(right)),
        ]
        await pair.gateway.wait_open(timeout=20)
        assert await pair.gateway.call(LOGIN) == m.Done()
        assert len(tasks) == 2

    _run(work)
