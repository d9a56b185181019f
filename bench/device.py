"""`./run bench`: memory, start and speed of a real device against bare yardsticks.

Owns the figures and their targets. Every ratio is of two measurements in one run.
"""

import argparse
import json
import os
import platform
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.device.workshop import processes_of, running
from tests.end_to_end.living_device import Living, Owner, living_device

from bench import homeassistant
from bench.measure import (
    Client,
    Figure,
    cpu_seconds,
    middle,
    name_of,
    on_one_core,
    per_cpu_second,
    pss_mib,
    table,
)
from limpet.crypto.certificates import issue_operational, make_root
from limpet.crypto.keys import generate_key, key_to_pem
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import client_context
from limpet.device.accounts.rest import IDLE_SECONDS as ACCOUNTS_IDLE_SECONDS
from limpet.errors import LimpetError
from limpet.release.packages import PackageOrder, cache_directory

__all__ = ["main"]

ROUNDS = 5  # the yardsticks and the gateway in turn; the medians count
REQUESTS, HANDSHAKES = 600, 60  # in one round
OWN_PATH = b"/.well-known/security.txt"  # the gateway answers it alone
ASKING_PATH = b"/v1/functions/temperature"  # accounts is asked for the token, the app for the value
START_SECONDS = 30.0
STARTS = 5
SETTLE_SECONDS = 3.0
RESTING = ("keeper", "accounts", "updater")
REST_SECONDS = ACCOUNTS_IDLE_SECONDS + 120.0  # by then they rest, on defaults
BARE = "import ssl, time; ssl.create_default_context(); print(flush=True); time.sleep(600)"
MEMORY_MIB = 90e6 / (1 << 20)  # 90 MB
START_LIMIT, RATIO = 3.0, 0.7


@contextmanager
def bare_python() -> Iterator[int]:
    """The process id of a bare Python that has loaded `ssl`."""
    bare = subprocess.Popen([sys.executable, "-I", "-c", BARE], stdout=subprocess.PIPE)
    try:
        assert bare.stdout is not None
        bare.stdout.readline()
        yield bare.pid
    finally:
        bare.kill()
        bare.wait()


def measure_memory(living: Living) -> Iterator[Figure]:
    """Every role awake, just after the start; and as the device is once nobody asks it."""
    time.sleep(SETTLE_SECONDS)
    with bare_python() as bare:
        yield from _memory("memory, every role awake", living, bare, target=None)
        end = time.monotonic() + REST_SECONDS
        while any(living.device.state_of(role) != "resting" for role in RESTING):
            if time.monotonic() > end:
                raise SystemExit(f"bench: {', '.join(RESTING)} do not come to rest")
            time.sleep(0.5)
        time.sleep(SETTLE_SECONDS)
        yield from _memory("memory at rest", living, bare, target=MEMORY_MIB)


def _memory(what: str, living: Living, bare: int, *, target: float | None) -> Iterator[Figure]:
    """The whole, then each process."""
    pids = processes_of(living.device.root)
    each, one = {pid: pss_mib([pid]) for pid in pids}, pss_mib([bare])
    whole = sum(each.values())
    yield Figure(
        what=what,
        value=whole,
        unit="MiB",
        yardstick="bare Python with ssl",
        yardstick_value=one,
        ratio=whole / one,
        target=f"at most {target:.1f} MiB" if target else "",
        met=whole <= target if target else None,
    )
    for pid, value in each.items():
        yield Figure(what=f"  of it {name_of(pid)}", value=value, unit="MiB")


def measure_start(living: Living) -> tuple[Figure, Figure]:
    """From the start of boot to the first answered request: on the clock, and CPU of all roles."""
    starts = [_start_once(living) for _ in range(STARTS)]
    seconds, cpu = middle([one[0] for one in starts]), middle([one[1] for one in starts])
    return (
        Figure(
            what="start of boot to first answer",
            value=seconds,
            unit="s",
            target=f"below {START_LIMIT:g} s",
            met=seconds < START_LIMIT,
        ),
        Figure(what="the same, CPU of all roles", value=cpu, unit="CPU s"),
    )


def _start_once(living: Living) -> tuple[float, float]:
    begun = time.monotonic()
    with running(living.device.root, wait=False):
        while time.monotonic() - begun < START_SECONDS:
            owner = Owner(living)
            try:
                if owner.ask("GET", "/v1/identity")[0] == 200:
                    seconds = time.monotonic() - begun
                    return seconds, sum(map(cpu_seconds, processes_of(living.device.root)))
            except (LimpetError, OSError, ValueError):
                time.sleep(0.02)
            finally:
                owner.hang_up()
    raise SystemExit("bench: the device did not start")


@contextmanager
def yardstick(directory: Path, body: bytes, *, asks: int = 0) -> Iterator[tuple[int, Client]]:
    """The bare server, answering `body`: its process id and a client."""
    issuer, key = make_root("yardstick", now=datetime.now(UTC)), generate_key()
    chain = issue_operational(
        issuer,
        verify_request(make_request(key, model="bare", serial="bare", purpose=Purpose.SERVER)),
        now=datetime.now(UTC),
        lifetime=timedelta(days=1),
        addresses=("127.0.0.1",),
    )
    certificate, answer = directory / "bare.pem", directory / "body"
    certificate.write_bytes(key_to_pem(key) + chain)
    answer.write_bytes(body)
    command = [sys.executable, "-I", str(Path(__file__).with_name("bare_server.py"))]
    bare = subprocess.Popen(
        [*command, certificate, answer, str(asks)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert bare.stdout is not None
        port = int(bare.stdout.readline())
        yield bare.pid, Client(port, client_context(roots_pem=issuer.certificate_pem()))
    finally:
        bare.terminate()
        bare.wait(10)


def measure_speed(living: Living, directory: Path) -> Iterator[Figure]:
    """Requests that the gateway answers alone, handshakes, and requests for which it asks."""
    owner = Owner(living)
    gateway = Client(living.port, client_context(roots_pem=living.roots_pem))
    pid = living.device.pid_of("gateway")

    def compare(what: str, path: bytes, count: int, work: str, *, asks: int = 0) -> Figure:
        gateway.path, gateway.token = path, owner.token.encode()
        with gateway.connect() as secured:
            body = gateway.exchange(secured)
        ours, theirs = [], []
        with yardstick(directory, body, asks=asks) as (bare, client), on_one_core(pid, bare):
            for _ in range(ROUNDS):
                ours.append(per_cpu_second(pid, count, getattr(gateway, work)))
                theirs.append(per_cpu_second(bare, count, getattr(client, work)))
                gateway.close()
                client.close()
        ratio = middle(ours) / middle(theirs)
        return Figure(
            what=what,
            value=middle(ours),
            unit="per CPU s",
            yardstick="bare asyncio and h11" + (f" that asks {asks} processes" if asks else ""),
            yardstick_value=middle(theirs),
            ratio=ratio,
            target=f"at least {RATIO}",
            met=ratio >= RATIO,
        )

    yield compare("requests", OWN_PATH, REQUESTS, "ask")
    yield compare("full TLS 1.3 handshakes", OWN_PATH, HANDSHAKES, "shake_hands")
    # From here on, strangers are paced while somebody known is there: what follows is the owner's.
    owner.claim()
    yield compare("requests that ask two roles", ASKING_PATH, REQUESTS, "ask")
    yield compare("requests that ask two roles", ASKING_PATH, REQUESTS, "ask", asks=2)


def measure(
    show: Callable[[str], None], others: Sequence[str], packages: PackageOrder | None
) -> list[Figure]:
    """All figures; `show` is told what is going on."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="limpet-bench-") as name:
        directory = Path(name)
        show("making a vendor and a device")
        with living_device(directory, packages=packages) as living:
            show(f"memory: waiting until {', '.join(RESTING)} rest, at most {REST_SECONDS:g} s")
            figures += measure_memory(living)
            show("speed of the gateway")
            figures += measure_speed(living, directory)
            living.device.boot.terminate()
            living.device.boot.wait(20)
            show("start")
            start, cpu = measure_start(living)
            figures += (start, cpu)
            if "homeassistant" in others:
                whole = next(one for one in figures if one.what == "memory at rest")
                figures += homeassistant.compare(show, memory=whole, start=start)
    return figures


def main(words: Sequence[str] = ()) -> int:
    """Print every figure with its target; 1 if one is missed."""
    parser = argparse.ArgumentParser(prog="./run bench")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
    parser.add_argument(
        "--with",
        dest="others",
        action="append",
        default=[],
        choices=["homeassistant"],
        help="also measure this device stack, installed into an environment of its own",
    )
    parser.add_argument(
        "--packages", action="store_true", help="with a firmware that brings its packages"
    )
    given = parser.parse_args(words)
    packages = PackageOrder(cache=cache_directory(os.environ)) if given.packages else None
    figures = measure(lambda text: print(f"bench: {text}", file=sys.stderr), given.others, packages)
    about = f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, {os.cpu_count()} cores"
    if given.json:
        print(json.dumps({"about": about, "figures": [one.as_json() for one in figures]}, indent=2))
    else:
        print(about, table(figures), sep="\n")
    return 1 if any(one.met is False for one in figures) else 0
