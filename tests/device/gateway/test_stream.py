"""The event stream over real TLS: what it tells, whom, how much, and when it ends."""

import asyncio
import itertools
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable

import msgspec
import pytest
from tests.device.gateway.conftest import SERIAL, Person, Stand

from limpet.crypto.tls import client_context
from limpet.device.gateway.bodies import FunctionBody
from limpet.device.gateway.live import (
    READING_BYTES,
    STREAMS,
    LiveValues,
    Sample,
    live_readings,
    reading_sample,
)
from limpet.device.link import messages as m
from limpet.device.link.permits import Role

EVENTS = "text/event-stream"
TICK = 2.0


class Listener:
    """Reads a stream as it comes."""

    def __init__(self, stand: Stand, token: str) -> None:
        context = client_context(roots_pem=stand.device_root.certificate_pem())
        raw = socket.create_connection(("127.0.0.1", stand.port), timeout=10)
        self.tls: ssl.SSLSocket = context.wrap_socket(raw, server_hostname="localhost")
        head = f"GET /v1/stream HTTP/1.1\r\nhost: {SERIAL}.local\r\naccept: {EVENTS}\r\n"
        self.tls.sendall(f"{head}authorization: Bearer {token}\r\n\r\n".encode())
        self.heard = b""

    def hear(self, word: bytes, seconds: float = 10) -> bool:
        end = time.monotonic() + seconds
        while word not in self.heard and time.monotonic() < end:
            if not (data := self.tls.recv(65536)):
                return False
            self.heard += data
        return word in self.heard

    def ends(self, seconds: float = 10) -> bool:
        self.tls.settimeout(seconds)
        while True:
            try:
                data = self.tls.recv(65536)
            except ssl.SSLEOFError:
                return True
            except TimeoutError:
                return False
            if not data:
                return True
            self.heard += data


def test_readings_and_updates_are_told_when_they_change(owner: Person) -> None:
    listener = Listener(owner.stand, owner.token)
    assert listener.hear(b'"name":"temperature"')
    assert listener.hear(b"event: update")
    assert b'"name":"history"' not in listener.heard  # it takes an argument
    assert b"set_target" not in listener.heard
    before = len(listener.heard)
    assert owner.ask("POST", "/v1/functions/set_target", {"celsius": 23.5})[0] == 200
    assert listener.hear(b'"target":23.5')
    assert b'"name":"schedule"' not in listener.heard[before:]  # it did not change
    listener.tls.close()


def test_a_revoked_token_hears_nothing_more(owner: Person) -> None:
    made = owner.ask("POST", "/v1/tokens", {"label": "hall", "access": "viewer"})[1]
    listener = Listener(owner.stand, made["token"])
    assert listener.hear(b"event: reading")
    assert owner.ask("DELETE", f"/v1/tokens/{made['token_id']}")[0] == 204
    begun = time.monotonic()
    assert listener.ends()
    assert time.monotonic() - begun < 10 * TICK  # it would go on for a quarter of an hour


def test_a_third_stream_ends_the_first_of_its_token(owner: Person) -> None:
    made = owner.ask("POST", "/v1/tokens", {"label": "many", "access": "viewer"})[1]
    listeners = []
    for _ in range(3):
        listeners.append(Listener(owner.stand, made["token"]))
        assert listeners[-1].hear(b"event: reading")
    assert listeners[0].ends()
    for listener in listeners[1:]:
        listener.tls.close()


@pytest.mark.parametrize(
    ("headers", "token", "status"),
    [({}, None, 406), ({"accept": "*/*"}, None, 406), ({"accept": EVENTS}, "", 401),
     ({"accept": EVENTS}, "x" * 43, 401)],
)  # fmt: skip
def test_who_may_not_or_does_not_want_a_stream_gets_none(
    owner: Person, headers: dict[str, str], token: str | None, status: int
) -> None:
    answer = owner.ask("GET", "/v1/stream", token=token, headers=headers)
    assert answer[0] == status


def test_the_stream_ends_when_accounts_dies_and_comes_again(stand: Stand) -> None:
    person = Person(stand)
    person.claim()
    listener = Listener(stand, person.token)
    assert listener.hear(b"event: reading")
    stand.kill(Role.ACCOUNTS)
    assert listener.ends()
    stand.start(Role.ACCOUNTS)
    assert Listener(stand, person.token).hear(b"event: reading")


# --- LiveValues alone ---


def reading(name: str = "r", **properties: object) -> FunctionBody:
    return FunctionBody(
        name=name, kind="reading", access="member", summary="", arguments=properties, result={}
    )


def principal(number: int, access: m.Access = m.Access.OWNER) -> m.Principal:
    return m.Principal(name="owner", access=access, token_id=f"t{number}")


class Values:
    """A device's values, and how often they were asked for."""

    def __init__(self) -> None:
        self.asked = 0

    async def sample(self) -> tuple[Sample, ...]:
        self.asked += 1
        await asyncio.sleep(0.01)
        return (Sample(m.Access.MEMBER, "reading", "r", b'"secret"'),)


def make_live(
    values: Values, access: m.Access = m.Access.OWNER, *, clock: Callable[[], float] | None = None
) -> LiveValues:
    """Streams of three tenths of a second; without another clock, of one that every look moves."""

    async def authenticate(token: str) -> m.Reply:
        return principal(0, access)

    looks = itertools.count()
    return LiveValues(
        sample=values.sample, authenticate=authenticate, tick_seconds=0.05, stream_seconds=0.3,
        heartbeat_seconds=0.1, clock=clock or (lambda: next(looks) / 100),
    )  # fmt: skip


async def hear_all(stream: AsyncGenerator[bytes, None] | m.Refused) -> bytes:
    assert not isinstance(stream, m.Refused)
    return b"".join([part async for part in stream])


def test_a_stream_ends_by_itself_and_beats_in_between() -> None:
    async def listen() -> tuple[bytes, int]:
        live = make_live(Values())
        return await hear_all(live.open(principal(1), "t")), live.count

    heard, left = asyncio.run(listen())
    assert heard.count(b"event: reading") == 1
    assert heard.count(b": still here\n\n") >= 1
    assert left == 0


def test_what_is_above_the_bearers_access_is_not_told() -> None:
    live = make_live(Values(), m.Access.VIEWER)
    heard = asyncio.run(hear_all(live.open(principal(1, m.Access.VIEWER), "t")))
    assert b"secret" not in heard


def test_many_streams_ask_the_app_no_more_than_one_does_and_their_number_is_bounded() -> None:
    async def listen() -> tuple[int, object]:
        values, now = Values(), [0.0]
        live = make_live(values, clock=lambda: now[0])
        tasks = [
            asyncio.ensure_future(hear_all(live.open(principal(number), "t")))
            for number in range(STREAMS + 3)
        ]
        while not values.asked:  # noqa: ASYNC110 (whoever asked was let in)
            await asyncio.sleep(0)
        refused = live.open(principal(99), "t")
        assert live.count == STREAMS
        for _ in range(10):
            await asyncio.sleep(0.05)
            now[0] += 0.04
        await asyncio.gather(*tasks)
        return values.asked, refused

    asked, refused = asyncio.run(listen())
    assert 1 < asked <= 0.3 / 0.025 + 1
    assert isinstance(refused, m.Refused)
    assert refused.reason == "busy"


def test_an_answer_of_the_app_cannot_forge_an_event_nor_flood_the_stream() -> None:
    forged = m.Answer(json=b'{"a":\n\n"event: update\\ndata: {}\\n\\n"\n}')
    assert b"\n" not in reading_sample(reading(), forged).json
    flood = m.Answer(json=b'"' + b"x" * READING_BYTES + b'"')
    value = msgspec.json.decode(reading_sample(reading(), flood).json)
    assert value["reason"] == "too-large"
    assert len(reading_sample(reading(), flood).json) < 200


def test_only_readings_that_need_nothing_are_live() -> None:
    asked = reading("history", properties={"hours": {"type": "number"}})
    action = msgspec.structs.replace(reading("boost"), kind="action")
    assert [one.name for one in live_readings((reading(), asked, action))] == ["r"]
