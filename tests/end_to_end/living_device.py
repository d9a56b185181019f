"""A whole device for tests and measurements: real vendor, factory, boot and all roles.

Owns its making and its end. The device answers to an `Owner`, who uses the API over TLS.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from tests.device.workshop import Running, running, until
from tests.end_to_end.shipping import make_order

from limpet.crypto.tls import client_context
from limpet.https.client import HttpsClient
from limpet.product import parse_label_uri
from limpet.release import build_release
from limpet.release.packages import PackageOrder
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.home import Home, create

__all__ = ["Living", "Owner", "living_device"]

PRODUCT = Path(__file__).parents[2] / "examples" / "thermostat"
PASSWORD = "violet anchors drift slowly"
READY = ("running", "resting")
ROLES = ("keeper", "accounts", "app", "updater", "gateway", "announcer")


class Living:
    """A device that runs, unclaimed at first."""

    def __init__(self, device: Running, home: Home, code: str) -> None:
        self.device, self.home, self.code = device, home, code

    @property
    def roots_pem(self) -> bytes:
        """What its owner trusts."""
        return (self.home.trust / "device-root.pem").read_bytes()

    @property
    def port(self) -> int:
        """Where it listens now."""
        listening = self.device.root / "run" / "listening.json"
        return int(json.loads(listening.read_text())["port"])

    def running_roles(self) -> list[str]:
        """The roles that the supervisor calls running, or at rest until somebody asks."""
        try:
            status = json.loads((self.device.root / "run" / "status.json").read_text())
        except (OSError, ValueError):
            return []
        return [role["role"] for role in status["roles"] if role["state"] in READY]

    def pids(self) -> dict[str, int]:
        """Every role that has a process, and the supervisor."""
        status = json.loads((self.device.root / "run" / "status.json").read_text())
        found = {str(one["role"]): int(one["pid"]) for one in status["roles"] if one["pid"]}
        return {**found, "supervisor": int(status["supervisor_pid"])}


class Owner:
    """Uses the API as a program of the owner would, with a new connection when asked to."""

    def __init__(self, living: Living) -> None:
        self.living = living
        self.token = ""
        self.known = ""
        self._client: HttpsClient | None = None

    def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> tuple[int, Any]:
        """Status and value; raises `Unavailable` where there is no answer."""
        if self._client is None:
            tls = client_context(roots_pem=self.living.roots_pem)
            self._client = HttpsClient(f"https://localhost:{self.living.port}", tls=tls)
        shown = self.token if token is None else token
        headers = {"authorization": f"Bearer {shown}"} if shown else {}
        data = b""
        if body is not None:
            data = msgspec.json.encode(body)
            headers["content-type"] = "application/json"
        answer = self._client.request(method, path, data, max_bytes=1 << 20, headers=headers)
        json_body = "json" in answer.headers.get("content-type", "")
        return answer.status, msgspec.json.decode(answer.body) if json_body else answer.body

    def hang_up(self) -> None:
        """The next request makes a new connection."""
        if self._client is not None:
            self._client.close()
        self._client = None

    def claim(self) -> None:
        """Become the owner by the label's code."""
        body = {"code": self.living.code, "name": "owner", "password": PASSWORD}
        status, value = self.ask("POST", "/v1/claim", body)
        assert status == 201, value
        self.token, self.known = value["token"], value["known"]


@contextmanager
def living_device(
    directory: Path, *options: str, packages: PackageOrder | None = None
) -> Iterator[Living]:
    """Make a vendor, a release and a device below `directory`, and run them until the end.

    `options` go to boot. With `packages` the firmware brings its own.
    """
    now = datetime.now(UTC).replace(microsecond=0)
    home = create(directory / "vendor", PRODUCT, now=now, unsafe_without_gate=True)
    order = replace(make_order(home, PRODUCT, "1.0.0", at=now), packages=packages)
    build_release(order, directory / "release")
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    vendor = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert vendor.stdout is not None
        where = vendor.stdout.readline().rpartition("https://")[2].strip()
        station = Station(home, clock=lambda: datetime.now(UTC))
        image = load_factory_image(directory / "release")
        made = next(iter(station.make(image, directory / "devices", count=1)))
        root = Path(made.directory)
        resolve = ("--resolve", f"vendor.example.com:443={where}")
        with running(root, *resolve, *options) as device:
            until(device.has_enrolled, "it was not enrolled", device)
            label = parse_label_uri(Path(made.label_text).read_text().strip())
            yield Living(device, home, label.claim_code)
    finally:
        vendor.terminate()
        vendor.wait(60)
