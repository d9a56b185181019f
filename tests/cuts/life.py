"""The life that is recorded: a real vendor, a real device, an owner who changes settings all along.

    python -m tests.cuts.life WORK

First start and enrollment, claim, a release that is installed, tried and confirmed, another that
fails its trial and is fallen back from, a factory reset. Runs under strace(1), so whatever this
program writes to `WORK/marks` stands in the trace among the calls of the device's processes.

Leaves in WORK: `before` (the device as the factory made it), `device`, `vendor-VERSION` (the
vendor as it was while it offered VERSION), `marks`.
"""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.cuts.scratch import exit_on_sigterm
from tests.device.workshop import Running, example_product, running
from tests.end_to_end.living_device import Living, Owner
from tests.end_to_end.shipping import make_order, ship
from tests.packing import pack_lightly

from limpet.errors import LimpetError
from limpet.product import parse_label_uri
from limpet.release import (
    BuildOrder,
    build_release,
)
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.fleet import view_fleet
from limpet.vendor.home import Home, create
from limpet.vendor.store import Database

__all__ = [
    "BAD",
    "FIRST",
    "GOOD",
    "LAST",
    "PASSWORDS",
    "Life",
    "build_first",
    "make_product",
    "serving",
]

FIRST, GOOD, BAD, LAST = "1.0.0", "1.1.0", "1.2.0", "1.3.0"
PASSWORDS = ("violet anchors drift slowly", "seven quiet lanterns burn", "reeds along a slow river")
PATIENCE = 240.0  # seconds; strace slows the device down
ASSET_BYTES = 1_500_000  # so that an image has several groups, and a file that spans them
QUICK = {
    "check_interval_seconds = 21600": "check_interval_seconds = 1",
    "check_interval_min_seconds = 14400": "check_interval_min_seconds = 1",
    "check_interval_max_seconds = 28800": "check_interval_max_seconds = 2",
    "health_deadline_seconds = 60": "health_deadline_seconds = 30",
}
RIGHT, WRONG = "MILLIDEGREES_PER_DEGREE = 1000", "MILLIDEGREES_PER_DEGREE = 10"
"""A real bug, as in test_update.py: the app finds its own measurement implausible."""


def now() -> datetime:
    """UTC."""
    return datetime.now(UTC)


def make_product(place: Path, *, broken: bool = False) -> Path:
    """The example, quick, with a large file; `broken` fails its health check."""
    product = place / ("broken" if broken else "product")
    skip = shutil.ignore_patterns(".*", "__pycache__", "tests")
    shutil.copytree(example_product(), product, ignore=skip)
    _edit(product / "product.toml", QUICK)
    asset = random.Random(4).randbytes(ASSET_BYTES)  # noqa: S311 - no secret
    (product / "app" / "thermostat" / "rooms.bin").write_bytes(asset)
    if broken:
        _edit(product / "app" / "thermostat" / "sensor.py", {RIGHT: WRONG})
    return product


def _edit(file: Path, changes: dict[str, str]) -> None:
    text = file.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    file.write_text(text)


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """The service of the vendor at `home`; its "address:port"."""
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home)]
    command += ["--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().rpartition("https://")[2].strip()
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class Life:
    """What happens, and the marks of it."""

    work: Path
    home: Home
    product: Path
    marks: int
    owner: Owner = field(init=False)
    device: Running = field(init=False)
    password: str = PASSWORDS[0]
    tokens: list[str] = field(default_factory=list)
    turn: int = 0
    start_seconds: float = 0.0

    def mark(self, **what: object) -> None:
        """One line, one write."""
        os.write(self.marks, json.dumps(what).encode() + b"\n")

    def offer(self, version: str, product: Path, *, copy: bool = True) -> None:
        """Build, sign, publish and plan a release, by what the release manager uses."""
        ship(self.home, _order(self.home, product, version))
        if copy:
            _copy(self.home, self.work / f"vendor-{version}")
        self.mark(mark="offered", version=version)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The value of an answer; None if none came."""
        try:
            status, value = self.owner.ask(method, path, body)
        except (LimpetError, OSError, ValueError):
            self.owner.hang_up()
            return None
        if status >= 500 or status == 429:
            return None
        assert status < 300, (method, path, status, value)
        return value or {}

    def change(self, setting: str, value: object, method: str, path: str, body: object) -> Any:
        """One change, between two marks: from its answer on it must hold."""
        if self.ask("GET", "/v1/update") is None:  # a connection that is there, for the trace
            return None
        self.mark(mark="begin", setting=setting, value=value)
        answer = self.ask(method, path, body)
        self.mark(mark="end", setting=setting, value=value, acknowledged=answer is not None)
        return answer

    def change_something(self) -> None:
        """The next of the settings in turn."""
        self.turn += 1
        number = self.turn
        match number % 5:
            case 0 if number % 35 == 5:  # rarely: each time the wait for the next check begins anew
                # Open all day but for a minute, half a day from now.
                minute = (now().hour * 60 + 720 + number) % 1440
                window = {"start_minute": minute, "end_minute": (minute - 1) % 1440}
                body: object = {"window": window}
                self.change("window", minute, "PUT", "/v1/update/policy", body)
            case 1:
                enabled = number % 2 == 0
                body = {"enabled": enabled}
                self.change("announcement", enabled, "PUT", "/v1/announcement", body)
            case 2 if len(self.tokens) < 3:
                body = {"label": f"t{number}", "access": "viewer", "lifetime_seconds": 86400}
                made = self.change("token", f"t{number}", "POST", "/v1/tokens", body)
                self.tokens += [f"{made['token_id']} t{number}"] if made else []
            case 2:
                number_of, label = self.tokens.pop(0).split()
                self.change("revoked", label, "DELETE", f"/v1/tokens/{number_of}", None)
            case _:
                celsius = 10.0 + number % 19 + (number // 19 % 10) / 10
                body = {"celsius": celsius}
                self.change("target", celsius, "POST", "/v1/functions/set_target", body)

    def change_password(self, new: str) -> None:
        """Must be answered."""
        body = {"old": self.password, "new": new}
        assert self.change("password", new, "PUT", "/v1/password", body) is not None
        self.password, self.tokens = new, []

    def until(self, what: str, condition: Callable[[], bool], *, change: bool = True) -> None:
        """Wait for `condition`; meanwhile the owner changes settings."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                entries = [f"{e.role} {e.event}: {e.detail}" for e in self.device.log()][-25:]
                raise AssertionError("\n".join([f"not reached: {what}", *entries]))
            if change:
                self.change_something()
            time.sleep(0.15)
        self.mark(mark="reached", what=what)

    def vendor_knows(self, version: str) -> bool:
        """Whether the device has told the vendor that it confirmed this version."""
        fleet = view_fleet(Database.open(self.home.database))
        return any(one.running == version and one.state == "confirmed" for one in fleet)


def _copy(home: Home, to: Path) -> None:
    """The vendor as it is, while its service works and files of SQLite come and go."""
    database = home.database
    shutil.copytree(home.root, to, ignore=shutil.ignore_patterns(f"{database.name}*"))
    copy = to / database.relative_to(home.root)
    copy.touch(0o600)
    with closing(sqlite3.connect(database)) as at_work, closing(sqlite3.connect(copy)) as still:
        at_work.backup(still)


def _order(home: Home, product: Path, version: str) -> BuildOrder:
    return make_order(home, product, version, at=now().replace(microsecond=0))


def build_first(work: Path, product: Path) -> tuple[Home, Path, str]:
    """A vendor in `work/vendor`, and `work/device`, which the factory made; its claim code."""
    home = create(
        work / "vendor", product, now=now().replace(microsecond=0), unsafe_without_gate=True
    )
    build_release(_order(home, product, FIRST), work / f"release-{FIRST}")
    image = load_factory_image(work / f"release-{FIRST}")
    made = next(iter(Station(home, clock=now).make(image, work / "made", count=1)))
    code = parse_label_uri(Path(made.label_text).read_text().strip()).claim_code
    Path(made.directory).rename(work / "device")
    return home, work / "device", code


def live(work: Path) -> None:
    """The whole life, below the empty directory `work`."""
    product, broken = make_product(work), make_product(work, broken=True)
    home, device, code = build_first(work, product)
    subprocess.run(["cp", "-a", str(device), str(work / "before")], check=True)
    marks = os.open(work / "marks", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    life = Life(work, home, product, marks)
    with serving(home.root) as where:
        life.mark(mark="power-on")
        resolve = ("--resolve", f"vendor.example.com:443={where}")
        with running(device, *resolve, wait=False) as life.device:
            life.owner = Owner(Living(life.device, home, code))
            _days(life, broken)
            life.mark(mark="power-off")
    life.offer(LAST, product)


def _days(life: Life, broken: Path) -> None:
    device = life.device
    life.until("enrolled", device.has_enrolled, change=False)
    life.owner.ask("GET", "/v1/update")  # refused; what matters is a connection that is there
    life.mark(mark="begin", setting="password", value=life.password)
    life.owner.claim()
    life.mark(mark="end", setting="password", value=life.password, acknowledged=True)
    for _ in range(6):
        life.change_something()
    life.offer(GOOD, life.product)
    life.until("installed", lambda: device.has_logged("starting", GOOD))
    life.until("confirmed", lambda: life.vendor_knows(GOOD))
    life.mark(mark="promise", version=GOOD)
    life.change_password(PASSWORDS[1])
    for _ in range(6):
        life.change_something()
    life.offer(BAD, broken)
    life.until("tried", lambda: device.has_logged("starting", BAD))
    life.until("fallen back", lambda: device.has_logged("update-fell-back", BAD))
    life.until("held", lambda: device.has_logged("update-held", "failed-before"))
    life.until("answering", lambda: life.ask("GET", "/v1/update") is not None, change=False)
    for _ in range(6):
        life.change_something()
    life.change_password(PASSWORDS[2])
    body = {"password": life.password}
    assert life.change("reset", True, "POST", "/v1/reset", body) is not None
    life.until("erased", lambda: _is_unclaimed(life), change=False)


def _is_unclaimed(life: Life) -> bool:
    mark = (life.device.root / "erase.pending").exists()
    return not mark and life.device.has_logged("data-erased")


if __name__ == "__main__":
    exit_on_sigterm()
    pack_lightly()
    live(Path(sys.argv[1]))
