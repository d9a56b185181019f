"""A device's life, confined: from the factory to the reset, and every part of it works.

What `./run trace` watches (tests/device/confine/trace.py). It is a test of its own because
whatever the policy of system calls forgets breaks here.
"""

import http.client
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.device.workshop import until
from tests.end_to_end.new_products import NEWS, PASSWORD, Household, household, new_product, replace

from limpet.crypto.tls import client_context
from limpet.errors import LimpetError
from limpet.firmware.slots import Trial
from limpet.scaffold import Template

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end, pytest.mark.timeout(600)]

QUICK = {
    "check_interval_seconds = 21600": "check_interval_seconds = 1",
    "check_interval_min_seconds = 14400": "check_interval_min_seconds = 1",
    "check_interval_max_seconds = 28800": "check_interval_max_seconds = 2",
}
NEW_PASSWORD = PASSWORD + ", and more of it"
CERTIFICATE_SECONDS = 60
LONG = 180.0  # seconds; under a tracer everything takes several times as long

CALLING = """

@app.reading(summary="Call the vendor's page")
def call(product: Product) -> int:
    with product.device.https("news") as client:
        return client.get("/.well-known/security.txt", max_bytes=65536).status


@app.reading(summary="Look for a file, and note that it was looked for")
def note(product: Product) -> bool:
    (product.device.data / "note").touch()
    return (product.device.data / "note").exists()
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    base = tmp_path_factory.mktemp("life")
    product = new_product(base, Template.SWITCH, extra=CALLING, design=NEWS)
    replace(product / "product.toml", QUICK)

    def shorten(root: Path) -> None:
        del root
        settings = base / "vendor" / "online" / "vendor.json"
        known = json.loads(settings.read_text())
        known["certificate_lifetime_seconds"] = CERTIFICATE_SECONDS
        settings.write_text(json.dumps(known))

    with household(base, product, prepare=shorten) as found:
        yield found


def _wait(house: Household, condition: object, otherwise: str) -> None:
    """As `until`, several times as long."""
    assert callable(condition)
    end = time.monotonic() + LONG
    while time.monotonic() < end and not condition():
        time.sleep(0.2)
    until(condition, otherwise, house.device)


def test_its_owner_logs_in_reads_acts_and_is_shown_the_page(house: Household) -> None:
    for password in ("a wrong guess", "another wrong guess"):
        with pytest.raises(LimpetError), house.connect() as client:
            client.login(name="owner", password=password)
    with house.connect() as client:
        assert client.login(name="owner", password=PASSWORD).token
        made = client.create_token({"label": "hub", "access": "viewer", "lifetime_seconds": 3600})
        client.revoke_token(next(t.token_id for t in client.tokens() if t.label == "hub"))
        assert made.token
        assert client.events(limit=10)
    house.act("switch", on=True)
    assert (house.device.root / "app" / "output").read_bytes() == b"1\n"
    assert house.read("note") is True
    house.use("PUT", "/v1/password", {"old": PASSWORD, "new": NEW_PASSWORD})
    house.use("PUT", "/v1/update/policy", {"interval_seconds": 3600})
    house.use("POST", "/v1/update/check")
    for path in ("/v1/device", "/v1/openapi.json", "/v1/notifications", "/v1/update"):
        assert house.use("GET", path) is not None
    assert b"</html>" in _get(house, "/", "text/html", b"</html>")
    assert b"data:" in _get(house, "/v1/stream", "text/event-stream", b"data:")


def _get(house: Household, path: str, kind: str, until_seen: bytes) -> bytes:
    """The first part of what is at `path`, in small letters."""
    roots = (house.home.trust / "device-root.pem").read_bytes()
    where = json.loads((house.device.root / "run" / "listening.json").read_text())
    connection = http.client.HTTPSConnection(
        "localhost", where["port"], context=client_context(roots_pem=roots), timeout=LONG
    )
    headers = {"Authorization": f"Bearer {house.token}", "Accept": kind}
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    assert answer.status == 200
    found = b""
    while until_seen not in found and (more := answer.read1(65536)):
        found += more.lower()
    connection.close()
    return found


def test_its_app_calls_the_declared_host(house: Household) -> None:
    assert house.read("call") == 200


def test_it_installs_an_update_and_goes_on_with_it(house: Household) -> None:
    house.ship(house.home.root.parent / "garden-box", "1.1.0")
    house.use("POST", "/v1/update/check")
    _wait(house, lambda: house.device.has_logged("update-begins"), "it does not begin")
    _wait(house, lambda: house.device.state.good == "b", "it was not confirmed")
    assert not isinstance(house.device.state.trial, Trial)
    house.until_it_answers("note", seconds=LONG)
    assert house.read("call") == 200


def test_it_renews_its_certificates(house: Household) -> None:
    def renewed() -> bool:
        enrolled = [e.role for e in house.device.log() if e.event == "enrolled"]
        return enrolled.count("gateway") >= 2 and enrolled.count("updater") >= 2

    _wait(house, renewed, "it was not renewed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("role", ["keeper", "accounts", "updater", "gateway", "app"])
def test_a_role_that_is_ended_comes_back(
    role: str, number: signal.Signals, house: Household
) -> None:
    old = _end(house, role, number)
    _wait(
        house,
        lambda: _runs(house, role) and house.device.find_pid(role) not in (0, old),
        f"{role} is not back",
    )
    house.until_it_answers("note", seconds=LONG)


def _end(house: Household, role: str, number: signal.Signals) -> int:
    """Its process, by now ended. Renewals wake one that rests."""
    while True:
        _wait(house, lambda: _runs(house, role), f"{role} does not wake")
        with suppress(ProcessLookupError):  # it has just come to rest
            if pid := house.device.find_pid(role):
                os.kill(pid, number)
                return pid


def _runs(house: Household, role: str) -> bool:
    return house.device.state_of(role) == "running"


def test_it_forgets_its_owner_at_a_factory_reset(house: Household) -> None:
    """Last: nobody owns it any more."""
    house.use("POST", "/v1/reset", {"password": NEW_PASSWORD})
    app = house.device.root / "app"
    _wait(house, lambda: not (app / "note").exists(), "the app's data is still there")
    with pytest.raises(LimpetError):
        house.use("GET", "/v1/tokens")
