"""A product made by `limpet new`, its vendor, one device of it, and its owner: all real.

Owns the set-up that several end-to-end tests share.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.device.workshop import Running, running, until
from tests.end_to_end.shipping import make_order, ship

from limpet.errors import LimpetError
from limpet.owner.client import DeviceClient
from limpet.owner.trust import parse_device_url, verify_root
from limpet.product.label import parse_label_uri
from limpet.release import (
    build_release,
)
from limpet.scaffold import NewProduct, Template, create_product
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.home import Home, create

NOW = datetime.now(UTC).replace(microsecond=0)
PASSWORD = "a long passphrase of mine"
HASTE = {
    "check_interval_seconds = 21600": "check_interval_seconds = 1",
    "check_interval_min_seconds = 14400": "check_interval_min_seconds = 1",
    "check_interval_max_seconds = 28800": "check_interval_max_seconds = 2",
}

NEWS = """
[[interfaces]]
id = "news"
description = "The app asks the vendor for news."
direction = "out"
transport = "tcp"
protocol = "HTTPS"
port = 443
hosts = ["vendor.example.com"]
authentication = ["server-certificate"]
used_by = "app"

[[threats]]
id = "false-news"
description = "Somebody on the way answers in the vendor's name."
interfaces = ["news"]
measures = ["tls-only", "pinned-roots"]
"""
"""A way out for the app, for `new_product(design=…)`."""


def now() -> datetime:
    return datetime.now(UTC)


def new_product(
    parent: Path, template: Template, *, extra: str = "", design: str = "", haste: bool = False
) -> Path:
    """A new product; `extra` is appended to its functions, `design` to its design file, `haste`
    shortens its intervals."""
    order = NewProduct(name="garden-box", template=template, today=NOW.date())
    product = create_product(order, parent)
    functions = product / "app" / "garden_box" / "functions.py"
    functions.write_text(functions.read_text() + extra)
    file = product / "product.toml"
    file.write_text(file.read_text() + design)
    if haste:
        replace(product / "product.toml", HASTE)
    return product


def replace(path: Path, changes: Mapping[str, str]) -> None:
    text = path.read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)


@dataclass
class Household:
    """A vendor that serves, a device that runs, an owner who has claimed it."""

    home: Home
    device: Running
    label: str
    token: str = ""

    def connect(self) -> DeviceClient:
        """A connection of the owner's."""
        listening = self.device.root / "run" / "listening.json"
        until(listening.exists, "it does not listen", self.device)
        where = json.loads(listening.read_text())
        return DeviceClient(
            parse_device_url(f"https://{where['host']}:{where['port']}"),
            root=verify_root((self.home.trust / "device-root.pem").read_bytes(), pin=None),
            serial=self.device.root.name.upper(),
            token=self.token,
        )

    def claim(self) -> None:
        code = parse_label_uri(self.label).claim_code
        with self.connect() as client:
            self.token = client.claim(code=code, name="owner", password=PASSWORD).token

    def use(self, method: str, path: str, body: Any = None) -> Any:
        with self.connect() as client:
            return client.request(method, path, body)

    def act(self, name: str, **arguments: Any) -> Any:
        return self.use("POST", f"/v1/functions/{name}", arguments)

    def read(self, name: str) -> Any:
        return self.use("GET", f"/v1/functions/{name}")

    def until_it_answers(self, name: str, *, seconds: float = 180) -> None:
        """Wait until the app takes this reading; longer than its longest wait between starts."""
        end = time.monotonic() + seconds
        while not self.answers(name):
            if time.monotonic() > end:
                said = [f"{e.role} {e.event}: {e.detail[:200]}" for e in self.device.log()[-12:]]
                raise AssertionError("\n".join(["the app does not come back", *said]))
            time.sleep(0.2)

    def answers(self, name: str) -> bool:
        """Whether the app takes this reading now."""
        try:
            self.read(name)
        except LimpetError:
            return False
        return True

    def ship(self, product: Path, version: str) -> None:
        """Build, sign, publish and offer to all, as the release manager does."""
        ship(self.home, make_order(self.home, product, version, at=NOW))


@contextmanager
def household(
    base: Path, product: Path, *options: str, prepare: Callable[[Path], None] = lambda root: None
) -> Iterator[Household]:
    """Found the vendor, make one device, run both, claim it; at the end nothing is left.

    `prepare` may change the device's directory before it is first used.
    """
    home = create(base / "vendor", product, now=NOW, unsafe_without_gate=True)
    build_release(make_order(home, product, "1.0.0", at=NOW), base / "release-1.0.0")
    image = load_factory_image(base / "release-1.0.0")
    made = next(iter(Station(home, clock=now).make(image, base / "devices", count=1)))
    prepare(Path(made.directory))
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    vendor = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert vendor.stdout is not None
        address = vendor.stdout.readline().rpartition("https://")[2].strip()
        resolve = f"vendor.example.com:443={address}"
        with running(Path(made.directory), "--resolve", resolve, *options) as device:
            until(lambda: _serves(device), "it was not enrolled", device)
            label = next((base / "devices" / "labels").glob("*.txt")).read_text().strip()
            found = Household(home, device, label)
            found.claim()
            yield found
    finally:
        vendor.terminate()
        vendor.wait(60)


def _serves(device: Running) -> bool:
    """Whether the gateway has its certificate (the updater logs one of its own)."""
    return any(e.event == "enrolled" and e.role == "gateway" for e in device.log())


class Watcher:
    """Asks the gateway for its identity and for the owner's tokens, again and again."""

    def __init__(self, household: Household) -> None:
        self._household = household
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.asked = 0
        self.longest = 0.0
        self.failures: list[str] = []

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(20)

    def _watch(self) -> None:
        with self._household.connect() as client:
            while not self._end.wait(0.1):
                began = time.monotonic()
                try:
                    client.identity()
                    client.tokens()
                except LimpetError as error:
                    self.failures.append(str(error))
                self.asked += 1
                self.longest = max(self.longest, time.monotonic() - began)
