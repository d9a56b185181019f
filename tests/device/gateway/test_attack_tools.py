"""R2.2.1, R2.2.3: real attack tools, each first shown to work where there is no defence.

Needs hydra, ncrack, medusa and slowhttptest (`run` installs them on Debian for root); without
them it says so.
"""

import statistics
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.device.gateway.attack_servers import (
    careless_login,
    careless_server,
    relay_to,
    server_certificate,
)
from tests.device.gateway.conftest import PASSWORD, Person, Stand
from tests.device.gateway.guessers import GUESSERS, GUESSES, Guesser, tool, word_list

from limpet.crypto.tls import client_context
from limpet.device.accounts.throttle import PASSWORD as THROTTLE
from limpet.device.accounts.throttle import most_guesses
from limpet.errors import LimpetError, Unavailable
from limpet.https.client import HttpsClient, Timeouts

ATTACK_SECONDS = 8
LATENCY_FACTOR = 3
LATENCY_FLOOR = 0.05  # seconds: below it, a factor of a few milliseconds measures the machine
RECOVERY_SECONDS = 5

pytestmark = [pytest.mark.alone, pytest.mark.slow]


@pytest.fixture
def certificate(stand: Stand, tmp_path: Path) -> Path:
    """For the careless servers, from the device's root."""
    return server_certificate(stand.device_root, tmp_path)


@pytest.mark.parametrize("guesser", GUESSERS, ids=lambda one: one.__name__)
def test_a_guesser_finds_the_planted_password_without_our_throttle_and_not_with_it(
    stand: Stand, certificate: Path, tmp_path: Path, guesser: Guesser
) -> None:
    owner = Person(stand)
    owner.claim()
    roots = stand.device_root.certificate_pem()
    words = word_list(tmp_path, PASSWORD)
    with (
        careless_server(careless_login(PASSWORD), certificate) as port,
        relay_to(port, roots) as relay,
    ):
        assert guesser(relay.port, words), "the control failed: this run would prove nothing"
        assert PASSWORD in relay.passwords
    begun = time.monotonic()
    with relay_to(stand.port, roots) as relay:
        assert not guesser(relay.port, words)
    hours = (time.monotonic() - begun) / 3600
    assert PASSWORD in relay.passwords  # it was tried, and not looked at
    assert len(relay.passwords) >= GUESSES
    assert relay.statuses[201] == 0
    assert 1 <= relay.statuses[401] <= most_guesses(THROTTLE, hours)  # really checked
    assert relay.statuses[429] >= GUESSES - THROTTLE.burst - 2
    print(f"{guesser.__name__}: {dict(relay.statuses)} from {len(relay.sources)} addresses")
    body = {"name": "owner", "password": PASSWORD, "known": owner.known}
    assert owner.ask("POST", "/v1/login", body, token="")[0] == 201


class _Slow(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _slowhttptest(port: int, mode: str) -> str:
    command = [tool("slowhttptest"), mode, "-c", "150", "-r", "100", "-i", "2", "-p", "3"]
    limits = ["-l", str(ATTACK_SECONDS), "-x", "24", "-u", f"https://127.0.0.1:{port}/v1/identity"]
    done = subprocess.run([*command, *limits], capture_output=True, text=True, timeout=90)
    return done.stdout + done.stderr


def _percentile(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


def _use(owner: Person, until: threading.Event, least: int = 200) -> list[float]:
    took: list[float] = []
    while not until.is_set() or len(took) < least:
        begun = time.monotonic()
        assert owner.ask("GET", "/v1/functions")[0] == 200
        took.append(time.monotonic() - begun)
        time.sleep(0.005)
    return took


@pytest.mark.parametrize("mode", ["-H", "-B", "-X"], ids=["slow-headers", "slow-body", "slow-read"])
def test_slowhttptest_stops_a_careless_server_and_not_the_owner(
    stand: Stand, certificate: Path, mode: str
) -> None:
    with careless_server(_Slow, certificate) as port:
        control = threading.Thread(target=_slowhttptest, args=(port, mode))
        control.start()
        time.sleep(ATTACK_SECONDS / 2)
        served = _is_served(port, stand, seconds=2)
        control.join(90)
    assert not served, "the control failed: this run would prove nothing"
    owner = Person(stand)
    owner.claim()
    quiet = threading.Event()
    quiet.set()
    calm = _use(owner, quiet)
    over = threading.Event()

    def attack() -> None:
        _slowhttptest(stand.port, mode)
        over.set()

    attacker = threading.Thread(target=attack)
    attacker.start()
    under = _percentile(_use(owner, over))
    attacker.join(90)
    # What else this machine does comes and goes: idle is what was before and after.
    idle = _percentile(calm + _use(owner, quiet))
    print(f"{mode}: owner's p99 {under * 1e3:.1f} ms, idle {idle * 1e3:.1f}: {under / idle:.1f}x")
    assert under <= max(LATENCY_FACTOR * idle, LATENCY_FLOOR)
    assert _seconds_until_a_stranger_is_served(stand) < RECOVERY_SECONDS


def _is_served(port: int, stand: Stand, *, seconds: float) -> bool:
    tls = client_context(roots_pem=stand.device_root.certificate_pem())
    timeouts = Timeouts(connect=seconds, total=seconds)
    try:
        with HttpsClient(f"https://127.0.0.1:{port}", tls=tls, timeouts=timeouts) as stranger:
            return stranger.get("/", max_bytes=1024).status == 200
    except Unavailable:
        return False


def _seconds_until_a_stranger_is_served(stand: Stand) -> float:
    begun = time.monotonic()
    while time.monotonic() - begun < 4 * RECOVERY_SECONDS:
        try:
            with stand.client() as stranger:
                if stranger.get("/v1/identity", max_bytes=64 << 10).status == 200:
                    break
        except LimpetError:
            time.sleep(0.1)
    return time.monotonic() - begun
