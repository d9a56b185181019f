"""A vendor with published releases, devices that run them, and advisories that come later."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from tests.release.advisories.records import Record, bring, record, write_directory
from tests.vendor.workshop import MODEL, NOW, Clock, make_home, make_manifest, next_releases

from limpet.release.watch import Entry, Looked, LookOrder, Statements, look
from limpet.vendor.repository import Repository, SignedRelease
from limpet.vendor.store import Database, Devices
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import manifest_path, sbom_path
from limpet.wire.watch import WATCH_BYTES, WATCH_FILE, WatchRecord

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def bill(version: str, *parts: str) -> bytes:
    """A bill of materials of packages of PyPI, as "name@1.0"."""
    components = []
    for part in parts:
        name, _, number = part.partition("@")
        purl = f"pkg:pypi/{name}@{number}"
        components.append(
            {"type": "library", "name": name, "version": number, "purl": purl, "bom-ref": purl}
        )
    subject = {
        "type": "firmware",
        "name": MODEL,
        "version": version,
        "bom-ref": "it",
        "purl": f"pkg:generic/example/{MODEL}@{version}",
    }
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
    }
    return json.dumps(document).encode()


def advisory(
    name: str = "PYSEC-1", package: str = "parser", fixed: str = "2.0", **more: object
) -> Record:
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    severity = [{"type": "CVSS_V3", "score": VECTOR}]
    modified = f"{NOW - timedelta(days=9):%Y-%m-%dT%H:%M:%SZ}"
    return record(name, package, events=events, severity=severity, modified=modified, **more)


@dataclass
class Field:
    """The vendor and its world; `clock` is set by the test."""

    directory: Path
    clock: Clock = field(default_factory=Clock)
    statements: dict[str, Statements] = field(default_factory=dict)
    webhook: object = None

    def __post_init__(self) -> None:
        self.home = make_home(self.directory)
        self.store = self.directory / "advisories.sqlite"
        self.dumps = 0

    @property
    def database(self) -> Path:
        return self.home.online / "watch.sqlite"

    def publish(self, version: str, *parts: str, sbom: bytes | None = None) -> Path:
        """A release with these components; the file of its bill of materials."""
        image = self.directory / f"{version}.img"
        image.write_bytes(f"firmware {version}".encode() * 100)
        data = bill(version, *parts) if sbom is None else sbom
        file = self.directory / f"{version}.cdx.json"
        file.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        manifest = encode_json(make_manifest(image.read_bytes(), version, sbom=digest))
        signing = next_releases(self.home, manifest_path(MODEL, version), manifest)
        release = SignedRelease(manifest, image, signing.data(), sbom=file)
        Repository(self.home, Clock()).add_release(release)
        return self.home.repository / sbom_path(digest)

    def publish_bare(self, version: str) -> None:
        """A release without a bill of materials."""
        image = self.directory / f"{version}.img"
        image.write_bytes(f"firmware {version}".encode() * 100)
        manifest = encode_json(make_manifest(image.read_bytes(), version))
        signing = next_releases(self.home, manifest_path(MODEL, version), manifest)
        Repository(self.home, Clock()).add_release(SignedRelease(manifest, image, signing.data()))

    def run(self, version: str, *numbers: int) -> None:
        """These devices run that version."""
        database = Database.open(self.home.database)
        with database.transaction() as connection:
            devices = Devices(connection)
            for number in numbers:
                serial = f"TH-{number:04d}"
                devices.see(serial, MODEL, now=self.clock())
                _report(connection, serial, version)
        database.close()

    def learn(self, *records: Record, at: datetime | None = None) -> None:
        """Import a whole dump of these advisories, and one of a package that nobody has."""
        self.dumps += 1
        everything = (*records, advisory("PYSEC-0", "unused"))
        dump = write_directory(self.directory / f"dump{self.dumps}" / "PyPI", *everything)
        self.store.unlink(missing_ok=True)
        bring(self.store, dump.parent, now=at or self.clock())

    def order(self, **more: object) -> LookOrder:
        values: dict[str, object] = {
            "vendor": self.home.root,
            "advisories": self.store,
            "statements": self.statements,
            "webhook": self.webhook,
        }
        return LookOrder(**(values | more))  # type: ignore[arg-type]

    def look(self, **more: object) -> Looked:
        return look(self.order(**more), clock=self.clock)

    def only(self) -> Entry:
        """The one entry there is, after another look."""
        (entry,) = self.look().entries
        return entry

    def record(self) -> WatchRecord:
        data = (self.home.public / WATCH_FILE).read_bytes()
        return decode_json(data, WatchRecord, max_bytes=WATCH_BYTES)


def _report(connection: object, serial: str, version: str) -> None:
    from sqlalchemy import update

    from limpet.vendor.store._schema import devices

    change = update(devices).where(devices.c.serial == serial).values(running=version)
    connection.execute(change)  # type: ignore[attr-defined]
