"""An honest client's waiting times while somebody floods the device.

Owns the floods: connections that never finish their handshake, requests that
never finish their header, requests of strangers, and guesses. All are bounded in
number and time, and all connections are closed at the end.
"""

import contextlib
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from limpet.audit.instruments.http import Conversation, converse, converse_as_owner
from limpet.audit.instruments.tls import suspicious_context
from limpet.audit.target import Endpoint, Target
from limpet.errors import LimpetError

__all__ = ["Load", "Waits", "measure_guessing_flood", "measure_slow_flood"]

BEFORE_SECONDS = 0.4
DURING_SECONDS = 1.2
PAUSE = 0.03  # between the honest client's requests
HALF_OPEN = 48
SLOW_HEADERS = 12
NEWCOMERS = 3
NEWCOMER_SECONDS = 1.5
FLOOD_THREADS = 4
FLOOD_REQUESTS = 400  # bound on all requests of one flood
CONNECT_SECONDS = 1.0
BUILD_SECONDS = 3.0  # for all connections of a flood


@dataclass(frozen=True, slots=True)
class Waits:
    """Waiting times in seconds, and requests that failed."""

    answered: tuple[float, ...]
    failures: int

    @property
    def median(self) -> float:
        """The middle waiting time."""
        ordered = sorted(self.answered)
        return ordered[len(ordered) // 2] if ordered else float("inf")

    @property
    def worst(self) -> float:
        """The longest waiting time."""
        return max(self.answered, default=float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the honest client saw before and during a flood, and whether it could come in anew."""

    flood: str
    client: str
    before: Waits
    during: Waits
    newcomers: Waits  # the same client, on a connection of its own for each request
    sent: int  # connections or requests of the flood
    turned_away: int  # of these: refused, dropped or answered 429 or 503
    answers_after: bool


def measure_slow_flood(target: Target) -> Load:
    """Half-open connections and headers that never end, against the owner's session."""
    return _measure(target, "slow and half-open connections", _slow_flood)


def measure_guessing_flood(target: Target) -> Load:
    """Logins by guesses from several sources at once, against the owner's session."""
    return _measure(target, "logins by guesses", _guessing_flood)


@dataclass(slots=True)
class _Tally:
    sent: int = 0
    turned_away: int = 0


def _measure(
    target: Target,
    name: str,
    flood: Callable[[Target, Endpoint, _Tally], contextlib.AbstractContextManager[None]],
) -> Load:
    endpoint = target.need(target.device, "device URL")
    tally = _Tally()
    as_owner = target.token is not None and target.device_root_pem is not None
    client = converse_as_owner if as_owner else _as_stranger
    path = "/v1/update" if as_owner else "/v1/identity"
    with client(target) as honest:
        honest.ask("GET", path)  # opens the connection
        before = _wait_for(honest, path, BEFORE_SECONDS)
        with flood(target, endpoint, tally):
            during = _wait_for(honest, path, DURING_SECONDS)
            newcomers = _come_anew(lambda: client(target, seconds=NEWCOMER_SECONDS), path)
    return Load(
        flood=name,
        client="the owner's session" if as_owner else "a stranger's session",
        before=before,
        during=during,
        newcomers=newcomers,
        sent=tally.sent,
        turned_away=tally.turned_away,
        answers_after=_answers(target),
    )


def _wait_for(honest: Conversation, path: str, seconds: float) -> Waits:
    waits, failures = [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            answer = honest.ask("GET", path)
        except LimpetError:
            failures += 1
        else:
            waits.append(answer.seconds)
            failures += answer.status != 200
        time.sleep(PAUSE)
    return Waits(tuple(waits), failures)


def _as_stranger(
    target: Target, *, seconds: float = CONNECT_SECONDS
) -> contextlib.AbstractContextManager[Conversation]:
    return converse(target, seconds=seconds)


def _come_anew(
    client: Callable[[], contextlib.AbstractContextManager[Conversation]], path: str
) -> Waits:
    waits, failures = [], 0
    for _ in range(NEWCOMERS):
        begun = time.monotonic()
        try:
            with client() as newcomer:
                failures += newcomer.ask("GET", path).status != 200
        except LimpetError:
            failures += 1
        else:
            waits.append(time.monotonic() - begun)
    return Waits(tuple(waits), failures)


def _answers(target: Target) -> bool:
    for _ in range(10):  # connections of the flood take a moment to go
        try:
            with converse(target) as conversation:
                if conversation.ask("GET", "/v1/identity").status == 200:
                    return True
        except LimpetError:
            time.sleep(0.2)
    return False


@contextlib.contextmanager
def _slow_flood(target: Target, endpoint: Endpoint, tally: _Tally) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        opened: list[socket.socket] = []
        end = time.monotonic() + BUILD_SECONDS
        for number in range(HALF_OPEN + SLOW_HEADERS):
            if time.monotonic() > end:
                break  # the device is already full
            tally.sent += 1
            try:
                connection = _connect(endpoint, number)
                stack.callback(connection.close)
                if number < HALF_OPEN:
                    connection.sendall(b"\x16\x03\x01\x02\x00\x01")  # a ClientHello that never ends
                else:
                    connection.settimeout(CONNECT_SECONDS)
                    tls = suspicious_context().wrap_socket(connection)
                    stack.callback(tls.close)
                    tls.sendall(b"GET /v1/identity HTTP/1.1\r\nHost: loc")
                    connection = tls
            except OSError:
                tally.turned_away += 1
            else:
                opened.append(connection)
        yield
        tally.turned_away += sum(1 for connection in opened if _is_closed(connection))


@contextlib.contextmanager
def _guessing_flood(target: Target, endpoint: Endpoint, tally: _Tally) -> Iterator[None]:
    def guess(conversation: Conversation) -> int:
        document = {"name": target.account, "password": secrets.token_urlsafe(18)}
        return conversation.ask("POST", "/v1/login", document).status

    with _crowd(target, endpoint, tally, guess):
        yield


@contextlib.contextmanager
def _crowd(
    target: Target, endpoint: Endpoint, tally: _Tally, act: Callable[[Conversation], int]
) -> Iterator[None]:
    """Several strangers, each from its own source where the target is on the loopback."""
    over = threading.Event()
    lock = threading.Lock()

    def run(number: int) -> None:
        source = f"127.0.8.{number + 1}" if endpoint.peer[0].startswith("127.") else ""
        while not over.is_set() and tally.sent < FLOOD_REQUESTS:
            try:
                with converse(target, endpoint, source=source, quiet=False) as conversation:
                    status = act(conversation)
            except LimpetError:
                status = 0
            with lock:
                tally.sent += 1
                tally.turned_away += status in (0, 401, 403, 429, 503)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(FLOOD_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(timeout=6.0)


def _connect(endpoint: Endpoint, number: int) -> socket.socket:
    source = None
    if endpoint.peer[0].startswith("127."):
        source = (f"127.0.9.{number // 6 + 1}", 0)
    return socket.create_connection(endpoint.peer, timeout=CONNECT_SECONDS, source_address=source)


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.001)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True
