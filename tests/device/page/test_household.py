"""A household's certificate, in Chromium: no warning at home, and a refusal outside of it.

No check of the browser is switched off. The authority stands in the browser's database as
`limpet owner trust` puts it there.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.device.gateway.conftest import SERIAL, Person, Stand, begin
from tests.device.page.browser import Browser, run_driver
from tests.device.page.conftest import Desk

from limpet.crypto.certificates import Issuer, issue_household
from limpet.crypto.keys import generate_key
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import server_context
from limpet.owner.client import DeviceClient
from limpet.owner.household import give_household, open_authority
from limpet.owner.store import DeviceRecord, HouseholdRecord, Store
from limpet.owner.trust import parse_device_url, verify_root
from limpet.owner.trusting import trust_in_browsers

NAMES = (f"{SERIAL.lower()}.local", f"{SERIAL.lower()}.home.arpa", "heating.home.arpa")
PAGE = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 8\r\n\r\nharmless"


def give(stand: Stand, store: Store, token: str) -> tuple[Issuer, DeviceRecord]:
    """As `limpet owner trust` does."""
    now = datetime.now(UTC)
    record = DeviceRecord(
        serial=SERIAL,
        model="thermostat",
        url=f"https://127.0.0.1:{stand.port}",
        root_pem=stand.device_root.certificate_pem().decode(),
        token=token,
    )
    authority = open_authority(store, owner="owner", networks=None, now=now)
    root = verify_root(record.root_pem.encode(), pin=None)
    with DeviceClient(
        parse_device_url(record.url), root=root, serial=SERIAL, token=token
    ) as client:
        wanted = HouseholdRecord(hostnames=("heating.home.arpa",))
        return authority, give_household(store, record, client, authority, wanted=wanted, now=now)


class Home:
    """A device with a household's certificate, and browsers that trust the household."""

    def __init__(self, stand: Stand, authority: Issuer, driver: int, home: Path) -> None:
        self.stand, self.authority, self._driver, self._home = stand, authority, driver, home
        self._count = 0

    @contextlib.contextmanager
    def browser(self, *mapped: str) -> Iterator[Browser]:
        """One whose name server leads the `mapped` names to this machine."""
        self._count += 1
        rules = ", ".join(f"MAP {name} 127.0.0.1" for name in mapped)
        profile = self._home / f"profile-{self._count}"
        browser = Browser(self._driver, profile=profile, phone=False, resolve=rules)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    stand = begin(tmp_path_factory.mktemp("device"))
    try:
        person = Person(stand)
        person.claim()
        store = Store(tmp_path_factory.mktemp("owner") / "devices")
        authority, _ = give(stand, store, person.token)
        directory = tmp_path_factory.mktemp("home")
        with run_driver(directory, root_pem=None) as driver:
            placed = trust_in_browsers(authority.certificate, directory)
            assert all(one.trusted for one in placed), placed
            yield Home(stand, authority, driver, directory)
    finally:
        stand.close()


@pytest.mark.parametrize("host", [*NAMES, "127.0.0.1"])
def test_the_page_is_shown_without_a_warning_by_every_name_and_by_address(
    home: Home, host: str
) -> None:
    with home.browser(*NAMES) as browser:
        browser.open(f"https://{host}:{home.stand.port}/")
        browser.find("h2", "Log in")
        assert browser.run("return window.isSecureContext")
        assert browser.run("return location.hostname") == host
        assert browser.errors() == []
        Desk(home.stand, 0, Path()).picture(browser, f"household-{host}")


@contextlib.contextmanager
def impostor(home: Home, *names: str) -> Iterator[int]:
    """A server with a certificate for `names` that the household's stolen key signed."""
    key = generate_key()
    request = verify_request(
        make_request(key, model="thermostat", serial=SERIAL, purpose=Purpose.SERVER)
    )
    chain = issue_household(
        home.authority, request, now=datetime.now(UTC), lifetime=timedelta(days=30),
        hostnames=names, addresses=(),
    )  # fmt: skip
    context = server_context(chain, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as one:
                one.recv(1 << 14)
                one.sendall(PAGE.encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@pytest.mark.parametrize("name", ["bank.example.com", "example.com"])
def test_a_stolen_household_key_opens_no_site_of_the_internet(home: Home, name: str) -> None:
    with impostor(home, name) as port, home.browser(name) as browser:
        browser.open(f"https://{name}:{port}/")
        browser.see("ERR_CERT_INVALID")
        assert "harmless" not in browser.text()


def test_the_impostor_is_a_site_as_any_other_at_home(home: Home) -> None:
    """The control: what stops it elsewhere is the constraint."""
    with impostor(home, "other.home.arpa") as port, home.browser("other.home.arpa") as browser:
        browser.open(f"https://other.home.arpa:{port}/")
        browser.see("harmless")


def test_a_client_that_trusts_the_maker_is_shown_the_makers_chain(home: Home) -> None:
    assert Person(home.stand).ask("GET", "/v1/identity")[0] == 200


def test_python_and_its_openssl_judge_as_the_browser_does(home: Home, tmp_path: Path) -> None:
    context = ssl.create_default_context(cadata=home.authority.certificate_pem().decode())
    for name in (*NAMES, "127.0.0.1"):
        with (
            socket.create_connection(("127.0.0.1", home.stand.port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=name) as secured,
        ):
            assert secured.version() == "TLSv1.3"
    with impostor(home, "bank.example.com") as port:
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        with raw, pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
            context.wrap_socket(raw, server_hostname="bank.example.com")


def test_the_page_says_how_long_the_certificate_is_good_and_takes_it_away(home: Home) -> None:
    desk = Desk(home.stand, 0, Path())
    with home.browser(*NAMES) as browser:
        browser.open(f"https://heating.home.arpa:{home.stand.port}/")
        desk.login(browser)
        desk.go(browser, "Device", "Without a warning")
        browser.find("#household-until", "until 20")
        assert "limpet household of owner" in browser.text()
        browser.find("#announce")
        desk.picture(browser, "household-desk")
        browser.click("#announce")
        browser.click("form:has(#announce) button", "Save")
        browser.see("Nothing is told any more.")
        browser.click("summary", "Take it away")
        browser.click("main button", "Remove the certificate")
        browser.see("limpet owner trust")
        assert Person(home.stand).ask("GET", "/v1/identity")[0] == 200
    with home.browser(*NAMES) as browser:
        browser.open(f"https://heating.home.arpa:{home.stand.port}/")
        browser.see("ERR_CERT_")
