"""What the scenes share: where things are, which devices there are, who owns them.

Owns the demo's own copy of the product, quickened so that a day fits in a
minute, and the small look-ups that several scenes make.
"""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console

from limpet.demo.line import Line
from limpet.demo.stage import Missed, Stage
from limpet.demo.view import DeviceRow
from limpet.device.confine import missing_mechanisms
from limpet.errors import Unavailable
from limpet.owner.client import DeviceClient
from limpet.owner.flows import connect
from limpet.owner.store import Store
from limpet.product import ConfinementGap, load_product
from limpet.product.label import parse_label_uri

if TYPE_CHECKING:
    from limpet.vendor.fleet import FleetDevice
    from limpet.vendor.rollout import RolloutStatus
    from limpet.vendor.store import Database

__all__ = [
    "VENDOR_HOST",
    "Device",
    "World",
    "bear_gaps",
    "edit",
    "keep_history",
    "now",
    "prepare_product",
    "renew_dates",
]

VENDOR_HOST = "vendor.example.com"
_SLOW_TESTS = ("test_thermostat.py", "test_room.py")  # of the product's, left out of the copy
_DATES = (
    ("product.toml", "review_by", 70, 300),
    ("product.toml", "expires", 70, 300),
    ("product.toml", "until", 400, 5 * 365),
    ("vulnerabilities.toml", "review_by", 7, 60),
)
"""Which dates of the example are renewed: how many days before they come, and for how many."""
_WHO = ("-c", "user.name=The demo", "-c", "user.email=demo@example.com")
CHECK_SECONDS = 2  # between two looks for an update, on average; a product's are hours


@dataclass(slots=True, kw_only=True)
class Device:
    """One device, as its owner and the demo know it."""

    serial: str
    directory: Path
    label: Path  # what its QR code says
    label_picture: Path
    url: str = ""
    password: str = ""
    held: socket.socket | None = None  # keeps its port from others while it restarts

    @property
    def claim_code(self) -> str:
        """Read off the label."""
        return parse_label_uri(self.label.read_text("ascii").strip()).claim_code

    @property
    def process(self) -> str:
        """The name of its process on the stage."""
        return f"device-{self.serial}"


@dataclass(slots=True, kw_only=True)
class World:
    """The state of the story."""

    stage: Stage
    console: Console
    product: Path
    source: Path  # the product as it is in the repository
    count: int
    vendor_port: int = 0
    devices: list[Device] = field(default_factory=list)
    spare: Device | None = None  # never claimed, for the audit
    releases: dict[str, Path] = field(default_factory=dict)
    report: Any = None  # of the audit
    line: Line | None = None  # of the late device
    _database: "Database | None" = None

    @property
    def vendor(self) -> Path:
        """The vendor's directory."""
        return self.stage.directory / "vendor"

    @property
    def owner(self) -> Path:
        """The owner's store."""
        return self.stage.directory / "owner"

    @property
    def late(self) -> Device:
        """The device whose owner lets it wait, and whose line breaks then."""
        return self.devices[1]

    def resolve(self, device: Device) -> str:
        """Where the vendor's host name leads `device` on this machine."""
        port = self.vendor_port
        if device is self.late:
            self.line = self.line or Line(self.vendor_port)
            port = self.line.port
        return f"{VENDOR_HOST}:443=127.0.0.1:{port}"

    def borne_gaps(self) -> tuple[ConfinementGap, ...]:
        """What this machine lacks: the demo's product bears it, the repository's does not."""
        own = load_product(self.source / "product.toml").confinement_gaps
        here = load_product(self.product / "product.toml").confinement_gaps
        return tuple(gap for gap in here if gap not in own)

    @property
    def advisories(self) -> Path:
        """What is known of vulnerabilities, as the gate reads it."""
        return self.stage.directory / "advisories.sqlite"

    def commit(self, message: str, where: Path | None = None) -> str:
        """Commit all that lies there, in the product or in a branch of it; the commit's id."""
        where = where or self.product
        _git(where, "add", "--all")
        _git(where, "commit", "--quiet", "--allow-empty", "--message", message)
        return _git(where, "rev-parse", "HEAD")

    def branch(self, name: str) -> Path:
        """A clone of the product's history, to work in beside it."""
        there = self.stage.directory / name
        _git(self.product, "clone", "--quiet", str(self.product), str(there))
        return there

    def client(self, device: Device) -> DeviceClient:
        """The owner's authenticated connection to a device; a context manager."""
        return connect(Store(self.owner).load(device.serial))

    def fleet(self) -> list[DeviceRow]:
        """Every device as the vendor's database has it."""
        from limpet.vendor.fleet import view_fleet

        seen = {d.serial: d for d in view_fleet(self._open_database())}
        rows = []
        for device in self.devices:
            found = seen.get(device.serial)
            rows.append(
                DeviceRow(
                    serial=device.serial,
                    version=found.running if found else "?",
                    slot=found.slot if found else "?",
                    state=found.state if found else "unseen",
                    reason=found.reason if found else "",
                    detail=_said(found) if found else "",
                )
            )
        return rows

    def rollout(self) -> "RolloutStatus":
        """Where the rollout stands at the vendor."""
        from limpet.vendor.home import open_home
        from limpet.vendor.repository import Repository
        from limpet.vendor.rollout import Rollout, status

        home = open_home(self.vendor)
        return status(
            Rollout(
                home=home,
                database=self._open_database(),
                repository=Repository(home, now),
                clock=now,
            )
        )

    def _open_database(self) -> "Database":
        """The vendor's, opened once: the demo looks into it several times a second."""
        from limpet.vendor.home import open_home
        from limpet.vendor.store import Database

        if self._database is None:
            self._database = Database.open(open_home(self.vendor).database)
        return self._database

    def log(self, device: Device, event: str) -> list[dict[str, Any]]:
        """The entries of one kind in a device's own log."""
        path = device.directory / "log" / "device.log"
        try:
            lines = path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        entries = [msgspec.json.decode(line) for line in lines if line.strip()]
        return [entry for entry in entries if entry.get("event") == event]


def now() -> datetime:
    """UTC."""
    return datetime.now(UTC)


def _said(device: "FleetDevice") -> str:
    about = f"{device.version}: " if device.version and device.version != device.running else ""
    return about + (device.detail or device.reason)


def prepare_product(source: Path, target: Path, *, devices: int) -> Path:
    """Copy the product, with seconds instead of hours between two looks for an update.

    All `devices` start at once on this one machine, so a trial's deadline grows with them.
    What this machine cannot confine, the copy bears with a written rationale.

    Raises `Unavailable` if the product is not where it should be.
    """
    if not (source / "product.toml").is_file():
        raise Unavailable(
            f"no product in {source}", hint="run the demo from a clone of the repository"
        )
    ignore = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".hypothesis", *_SLOW_TESTS)
    shutil.copytree(source, target, ignore=ignore)
    design = target / "product.toml"
    text = design.read_text("utf-8")
    for key, seconds in (
        ("check_interval_seconds", CHECK_SECONDS),
        ("check_interval_min_seconds", 1),
        ("check_interval_max_seconds", CHECK_SECONDS * 2),
        ("health_deadline_seconds", max(30, 6 * devices)),
    ):
        text, found = re.subn(rf"(?m)^{key} = \d+$", f"{key} = {seconds}", text)
        if found != 1:
            raise Missed(f"{design} has no {key} to quicken")
    design.write_text(text, "utf-8")
    # Its devices run on the packages of this machine: to pack them takes longer than the demo.
    edit(design, 'component_sources = ["pypi"]', 'component_sources = ["pypi", "system"]')
    bear_gaps(design, missing_mechanisms())
    renew_dates(target, today=now().date())
    return target


def keep_history(product: Path) -> None:
    """Put the product under version control, as the gate asks. Raises `Unavailable`."""
    _git(product, "init", "--quiet", "--initial-branch=main")


def _git(product: Path, *words: str) -> str:
    """git, by no configuration but this: not of whoever watches, and not of the product."""
    command = ["git", "-C", str(product), *_WHO, *words]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError as error:
        raise Unavailable("git is not installed", hint="install git: the gate needs it") from error
    if done.returncode:
        raise Missed(f"git {words[0]}: {done.stderr.strip()[:200]}")
    return done.stdout.strip()


def renew_dates(product: Path, *, today: date) -> None:
    """Do the reviews of a copy of the example that are due, as its people would have to.

    What ends before long gets another date; nobody is to be reminded of it yet.
    """
    for file, key, least, days in _DATES:
        path = product / file
        if not path.is_file():
            continue
        end = today + timedelta(days=least)

        def renew(found: re.Match[str], end: date = end, key: str = key, days: int = days) -> str:
            is_soon = date.fromisoformat(found[1]) < end
            return f"{key} = {today + timedelta(days=days)}" if is_soon else found[0]

        text = re.sub(rf"(?m)^{key} = (\d{{4}}-\d\d-\d\d)$", renew, path.read_text("utf-8"))
        path.write_text(text, "utf-8")


def bear_gaps(design: Path, missing: Sequence[tuple[str, str]]) -> None:
    """Add a gap with a rationale to `design` for each of the `missing` (mechanism, reason)."""
    excused = {gap.mechanism.value for gap in load_product(design).confinement_gaps}
    text = design.read_text("utf-8")
    for mechanism, reason in missing:
        if mechanism not in excused:
            words = f"Not a product: a demonstration on a machine that lacks it ({reason})."
            quoted = msgspec.json.encode(words).decode()
            text += f'\n[[confinement_gaps]]\nmechanism = "{mechanism}"\nrationale = {quoted}\n'
    design.write_text(text, "utf-8")


def edit(path: Path, old: str, new: str) -> None:
    """One change of source code, as a developer makes it; `old` must be there once."""
    text = path.read_text("utf-8")
    if text.count(old) != 1:
        raise Missed(f"{path.name} does not hold {old!r} once")
    path.write_text(text.replace(old, new), "utf-8")
