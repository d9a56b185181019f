"""The page in real browsers, a phone's and a desk's, on a device of real processes.

`LIMPET_PICTURES=DIR` keeps a screenshot of every section in DIR.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device.gateway.conftest import PASSWORD, Stand, begin
from tests.device.page.browser import PROGRAMS, Browser, run_driver


class Desk:
    """A device and the browsers that look at it."""

    def __init__(self, stand: Stand, port: int, home: Path) -> None:
        self.stand, self._port, self._home = stand, port, home
        self._browsers: list[Browser] = []
        self.url = f"https://127.0.0.1:{stand.port}/"

    def browser(self, *, phone: bool = False) -> Browser:
        """A browser with a profile of its own, at the device's page."""
        profile = self._home / f"profile-{len(self._browsers)}"
        browser = Browser(self._port, profile=profile, phone=phone)
        self._browsers.append(browser)
        browser.open(self.url)
        return browser

    def claim(self, browser: Browser) -> None:
        browser.see("Make this device yours")
        browser.fill("Code on the label", self.stand.code)
        browser.fill("Your name on this device", "owner")
        browser.fill("Password", PASSWORD)
        browser.click("main button", "Claim")
        browser.see("This device is yours")

    def login(self, browser: Browser) -> None:
        browser.fill("Name", "owner")
        browser.fill("Password", PASSWORD)
        browser.click("main button", "Log in")
        browser.find("nav button", "Updates")

    def go(self, browser: Browser, section: str, sight: str) -> None:
        browser.click("nav button", section)
        browser.find("h2", sight)

    def picture(self, browser: Browser, name: str) -> None:
        if directory := os.environ.get("LIMPET_PICTURES"):
            browser.picture(Path(directory) / f"{name}.png")

    def close(self) -> None:
        for browser in self._browsers:
            browser.close()


def sit_down(stand: Stand, home: Path) -> Iterator[Desk]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    assert not missing, f"install {missing} (Debian: chromium chromium-driver libnss3-tools)"
    try:
        with run_driver(home, root_pem=stand.device_root.certificate_pem()) as port:
            desk = Desk(stand, port, home)
            try:
                yield desk
            finally:
                desk.close()
    finally:
        stand.close()


@pytest.fixture
def desk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """An unclaimed thermostat."""
    yield from sit_down(begin(tmp_path), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Desk, Browser]]:
    """A claimed thermostat that the tests of a module share, and its owner's browser."""
    for desk in sit_down(begin(tmp_path_factory.mktemp("device")), tmp_path_factory.mktemp("home")):
        browser = desk.browser()
        desk.claim(browser)
        yield desk, browser
