"""The support period of a device ends, by a moved clock: it tells its owner, and does what its
design file declares; a longer statement, signed offline, gives back what stopped.

The clock is libfaketime's, put under every process of the device.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.device.workshop import PATIENCE, running, until
from tests.end_to_end.living import serving
from tests.end_to_end.new_products import NEWS, PASSWORD, Household, household, new_product, now
from tests.end_to_end.new_products import replace as edit
from tests.end_to_end.test_wrong_clocks import FAKETIME, _interpreter
from tests.needs import need

from limpet.errors import LimpetError, Rejected
from limpet.release import SigningOrder, default_keys, publish, sign_support
from limpet.scaffold import Template
from limpet.wire.support import AfterSupport, SupportStatement

pytestmark = [pytest.mark.slow, pytest.mark.end_to_end, pytest.mark.timeout(900)]

CALLING = """

@app.reading(summary="Call the vendor's page")
def call(product: Product) -> int:
    with product.device.https("news") as client:
        return client.get("/.well-known/security.txt", max_bytes=65536).status
"""
DAY = timedelta(days=1)
AFTER = 2 * DAY


@contextmanager
def later(house: Household, base: Path, moved: timedelta) -> Iterator[Household]:
    """The same device, vendor and owner; the device's clock is `moved`."""
    interpreter = _interpreter(base, datetime.now(UTC) + moved)
    with serving(house.home) as service:
        options = ("--resolve", f"vendor.example.com:443={service}")
        with running(house.device.root, *options, interpreter=str(interpreter)) as device:
            yield _logged_in(replace(house, device=device, token=""))


def _logged_in(house: Household) -> Household:
    """With a session of that day: those of today are over."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(LimpetError), house.connect() as client:
            return replace(house, token=client.login(name="owner", password=PASSWORD).token)
        time.sleep(0.2)
    raise AssertionError("nobody can log in")


def _calls(house: Household) -> str:
    """What the app's call to the vendor comes to, once the app is there."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            return str(house.read("call"))
        except Rejected as error:
            if error.reason not in ("unavailable", "not-ready", "not-served"):
                return error.reason
        except LimpetError:
            pass
        time.sleep(0.2)
    raise AssertionError("the app does not answer")


def _extend(house: Household, end: datetime, base: Path) -> None:
    statement = SupportStatement(
        model="garden-box",
        until=end,
        after=AfterSupport.STOPS_REMOTE_FUNCTIONS,
        text="Security updates for some more days.",
        issued_at=now(),
    )
    keys = tuple(default_keys(house.home.offline, "garden-box"))
    root = house.home.trust / "root.json"
    order = SigningOrder(repository=house.home.repository, root=root, keys=keys)
    sign_support(statement, base, order, now=now())
    publish(base, house.home.root, clock=now)


def test_remote_functions_stop_at_the_end_and_come_back_with_a_longer_promise(
    tmp_path: Path,
) -> None:
    need(str(FAKETIME), package="libfaketime", untried="no device came to its support's end")
    product = new_product(tmp_path, Template.SWITCH, extra=CALLING, design=NEWS)
    file = product / "product.toml"
    lines = [
        f"until = {datetime.now(UTC) + DAY:%Y-%m-%d}" if line.startswith("until = ") else line
        for line in file.read_text().splitlines()
    ]
    file.write_text("\n".join(lines) + "\n")
    edit(file, {'after = "keeps-working-locally"': 'after = "stops-remote-functions"'})
    with household(tmp_path, product) as house:
        assert _calls(house) == "200", "the control: it works while it is supported"
        update = house.use("GET", "/v1/update")
        assert not update["support_over"]
        assert "Security updates end on" in update["support_notice"], "90 days before"
        [notice] = house.use("GET", "/v1/notifications")["notifications"]
        assert (notice["key"], notice["level"]) == ("support", "warning")

    with later(house, tmp_path / "over", AFTER) as over:
        until(lambda: over.device.has_logged("remote-functions", "stop"), "it goes on", over.device)
        until(lambda: _calls(over) == "support-over", "the app still calls out", over.device)
        assert over.use("GET", "/v1/update")["support_over"]
        notices = over.use("GET", "/v1/notifications")["notifications"]
        assert [one["level"] for one in notices if one["key"] == "support"] == ["error"]
        assert over.device.has_logged("support-over", "Security updates ended on")
        assert over.answers("is_on"), "its functions in the local network go on"

    with later(house, tmp_path / "now", timedelta(0)) as again:
        _extend(house, datetime.now(UTC).replace(microsecond=0) + 30 * DAY, tmp_path / "longer")

        def told() -> bool:  # a check that began before it was published does not know it
            again.use("POST", "/v1/update/check")
            text = again.use("GET", "/v1/update")["support_text"]
            return str(text).startswith("Security updates for some")

        until(told, "the longer promise is not told", again.device)

    with later(house, tmp_path / "extended", AFTER) as extended:
        until(lambda: _calls(extended) == "200", "what was extended stays stopped", extended.device)
        assert not extended.use("GET", "/v1/update")["support_over"]
