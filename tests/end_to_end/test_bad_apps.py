"""A product whose code hangs, crashes, hoards or forks: the rest of the device goes on.

The product is one that `limpet new` made, with these faults added to it.
"""

import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest
from tests.device.workshop import STOP_SECONDS, running, until
from tests.end_to_end.new_products import NEWS, Household, Watcher, household, new_product

from limpet.device.supervisor._policy import FIRST_DELAY
from limpet.errors import LimpetError, Rejected
from limpet.scaffold import Template

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end]
LONGEST_SECONDS = 20.0  # of an answer: a machine may stand still, the gateway never does

FAULTS = """
import ctypes
import os
import socket
import threading
import time

_hoard: list[object] = []


def _start(device: Device) -> Product:
    if (device.data / "broken").exists():
        raise RuntimeError("the product is broken")
    if (device.data / "endless").exists():
        while True:
            pass
    return Product(device)


app.start = _start


@app.action(summary="Never come back")
def hang(product: Product) -> None:
    while True:
        time.sleep(1)


@app.action(summary="Touch what is not there")
def crash(product: Product) -> None:
    ctypes.string_at(0)


@app.action(summary="Take all the memory there is, and keep it")
def hoard(product: Product) -> None:
    while True:
        _hoard.append(bytearray(4 << 20))


@app.action(summary="Fork")
def fork(product: Product) -> int:
    return os.fork()


@app.action(summary="Threads without end")
def threads(product: Product) -> int:
    while True:
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


@app.reading(summary="Call the vendor's page")
def call(product: Product) -> int:
    with product.device.https("news") as client:
        return client.get("/.well-known/security.txt", max_bytes=65536).status


@app.reading(summary="Try every way out but the declared one")
def attack(product: Product, port: int) -> list[str]:
    outcomes = []
    for family, kind in (
        (socket.AF_INET, socket.SOCK_STREAM),
        (socket.AF_INET6, socket.SOCK_STREAM),
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_PACKET, socket.SOCK_RAW),
    ):
        try:
            socket.socket(family, kind).close()
            outcomes.append("opened")
        except OSError as error:
            outcomes.append(type(error).__name__)
    dialer = product.device.outbound.dialer
    evil = type(dialer.endpoints[0])("evil", "127.0.0.1", port)
    dialer.endpoints = (*dialer.endpoints, evil)
    try:
        dialer.dial(dialer.endpoints[-1], seconds=3).close()
        outcomes.append("connected")
    except Exception as error:
        outcomes.append(str(error))
    try:  # the connection that it may have, led elsewhere
        connection = dialer.dial(dialer.endpoints[0], seconds=3)
        connection.connect(("127.0.0.1", port))
        outcomes.append("connected again")
    except OSError as error:
        outcomes.append(type(error).__name__)
    try:  # dissolved (AF_UNSPEC) and connected anew
        ctypes.CDLL(None).connect(connection.fileno(), ctypes.create_string_buffer(16), 16)
        connection.connect(("127.0.0.1", port))
        outcomes.append("connected anew")
    except OSError as error:
        outcomes.append(type(error).__name__)
    return outcomes


@app.reading(summary="A way out that nobody declared")
def undeclared(product: Product) -> str:
    product.device.https("weather")
    return "given"


@app.reading(summary="This process")
def process(product: Product) -> int:
    return os.getpid()
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    base = tmp_path_factory.mktemp("bad")
    with household(base, new_product(base, Template.SWITCH, extra=FAULTS, design=NEWS)) as found:
        yield found


def _misbehaves(house: Household, name: str) -> str:
    """Have the app do it; the reason that the caller got."""
    with pytest.raises(LimpetError) as refusal:
        house.act(name)
    return getattr(refusal.value, "reason", "unavailable")


def _others(house: Household) -> set[int]:
    roles = ("supervisor", "accounts", "gateway")  # keeper and updater may come to rest meanwhile
    return {house.device.pid_of(role) for role in roles}


def _verify_calm(watcher: Watcher) -> None:
    assert watcher.failures == []
    assert watcher.asked > 3
    assert watcher.longest < LONGEST_SECONDS


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("hang", "app-timeout"),
        ("crash", "unavailable"),
        ("hoard", "app-memory"),
        ("threads", "app-memory"),
    ],
)
def test_an_app_that_fails_is_started_again_and_the_gateway_answers_meanwhile(
    fault: str, reason: str, house: Household
) -> None:
    house.until_it_answers("process")
    before, others = house.read("process"), _others(house)
    house.act("switch", on=True)
    line = house.device.root / "app" / "output"
    assert line.read_bytes() == b"1\n"
    with Watcher(house) as watcher:
        until(lambda: watcher.asked > 0, "nobody asks", house.device)
        asked = watcher.asked
        assert reason in (_misbehaves(house, fault), "unavailable")
        if fault == "hang":  # five seconds, in which the gateway waits for nobody
            assert watcher.asked - asked > 2
        house.until_it_answers("process")
        if house.read("process") == before:  # it hangs on until its own watch ends it
            until(lambda: house.device.find_pid("app") != before, "it hangs on", house.device)
            house.until_it_answers("process")
    _verify_calm(watcher)
    assert house.read("process") != before
    assert _others(house) == others
    assert line.read_bytes() == b"0\n"


def test_an_app_reaches_the_declared_host_and_no_other_however_it_tries(house: Household) -> None:
    house.until_it_answers("process")
    assert house.read("call") == 200
    with socket.create_server(("127.0.0.1", 0)) as forbidden:
        forbidden.settimeout(0.2)
        outcomes = house.read(f"attack?port={forbidden.getsockname()[1]}")
        assert outcomes[:4] == ["PermissionError"] * 4
        assert outcomes[4] == "not declared"
        assert outcomes[5:] == ["PermissionError", "PermissionError"]
        with pytest.raises(TimeoutError):
            forbidden.accept()
    with pytest.raises(LimpetError) as refusal:
        house.read("undeclared")
    assert getattr(refusal.value, "reason", "") == "app-error"
    house.until_it_answers("process")


def test_an_app_that_forks_is_refused_by_the_kernel_and_goes_on(house: Household) -> None:
    house.until_it_answers("process")
    before, count = house.read("process"), len(house.device.processes())
    assert _misbehaves(house, "fork") == "app-error"
    assert house.read("process") == before
    assert len(house.device.processes()) == count


def test_an_app_that_cannot_start_is_tried_with_growing_waits_and_nothing_else_ends(
    house: Household,
) -> None:
    house.until_it_answers("process")
    others = _others(house)
    ended = sum(e.event == "role-ended" for e in house.device.log())
    broken = house.device.root / "app" / "broken"
    broken.touch()
    _misbehaves(house, "crash")
    with Watcher(house) as watcher:
        until(
            lambda: house.device.has_logged("role-ended", "app", times=ended + 3),
            "it was not tried again",
            house.device,
        )
        with pytest.raises(LimpetError):
            house.read("process")
        broken.unlink()
        house.until_it_answers("process")
    _verify_calm(watcher)
    times = [e.at for e in house.device.log() if e.event == "role-ended"][ended:]
    waits = [(b - a).total_seconds() for a, b in pairwise(times)]
    # Doubled each time; what comes on top are its starts.
    least = [FIRST_DELAY * 2**number for number in range(len(waits))]
    assert all(wait >= delay for wait, delay in zip(waits, least, strict=True)), waits
    assert _others(house) == others


@pytest.mark.parametrize("fault", ["broken", "endless"])
def test_a_device_whose_app_never_comes_up_still_starts_and_knows_its_owner(
    fault: str, house: Household
) -> None:
    """Last, because it ends the device: the owner's way in never depends on the product's code."""
    house.device.boot.terminate()
    house.device.boot.wait(STOP_SECONDS)
    mark = house.device.root / "app" / fault
    mark.touch()
    before = sum(e.event == "running" for e in house.device.log())
    arguments = house.device.boot.args
    assert isinstance(arguments, list)
    resolve = str(arguments[arguments.index("--resolve") + 1])
    with running(house.device.root, "--resolve", resolve, wait=False) as again:
        until(lambda: again.has_logged("running", times=before + 1), "it did not start", again)
        assert again.has_logged("role-late", "app")
        assert house.use("GET", "/v1/tokens")
        with pytest.raises((Rejected, LimpetError)):
            house.read("process")
        mark.unlink()
        if fault == "broken":
            house.until_it_answers("process")
