"""What tests of the vendor work with: a home, a clock, releases, devices, a running service."""

import asyncio
import hashlib
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import UNSET, UnsetType
from securesystemslib.signer import CryptoSigner
from tests.example import kept
from tuf.api.exceptions import DownloadHTTPError
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater

from limpet.crypto.certificates import issue_device_identity, load_issuer
from limpet.crypto.keys import TlsKey, generate_key
from limpet.crypto.requests import Purpose, make_request, verify_request
from limpet.crypto.tls import client_context
from limpet.https.client import HttpsClient
from limpet.vendor.front import Service, run_service
from limpet.vendor.home import Home, create
from limpet.vendor.repository import Repository, SignedRelease
from limpet.vendor.repository._metadata import load_drawer_signers
from limpet.wire.codec import encode_json
from limpet.wire.release import Bounds, Group, Image, ReleaseManifest, manifest_path
from limpet.wire.report import Report, ReportKind

PRODUCT = kept(Path("examples/thermostat"))
MODEL = "thermostat"
HOST = "localhost"
NOW = datetime.now(UTC).replace(microsecond=0)  # clients of TUF and TLS read the real clock
ANY_STEP = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1_000_000)


@dataclass
class Clock:
    """A clock that a test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def make_home(directory: Path, *, now: datetime = NOW) -> Home:
    return create(directory / "vendor", PRODUCT, now=now, unsafe_without_gate=True)


def make_manifest(
    image: bytes,
    version: str,
    *,
    model: str = MODEL,
    bounds: Bounds = ANY_STEP,
    counter: int = 1,
    sbom: str | UnsetType = UNSET,
) -> ReleaseManifest:
    digest = hashlib.sha256(image).hexdigest()
    return ReleaseManifest(
        model=model,
        hardware_revisions=("A1",),
        version=version,
        security_counter=counter,
        interface_version=1,
        minimum_version="0.0.0",
        built_at=NOW,
        image=Image(
            path=f"images/{digest}.img",
            packed=len(image),
            size=len(image),
            codec="zlib",
            groups=(Group(packed=len(image), size=len(image), sha256=digest),),
            tree_sha256=digest,
        ),
        bounds=bounds,
        sbom=sbom,
    )


@dataclass
class Signing:
    """The next `releases/<model>`, open to be made wrong before it is signed."""

    targets: Targets
    signers: list[CryptoSigner]

    def data(self) -> bytes:
        metadata = Metadata(self.targets)
        for signer in self.signers:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()


def next_releases(home: Home, path: str, target: bytes) -> Signing:
    """What a careful release manager would sign now."""
    role = Repository(home, Clock()).state().role(f"releases/{MODEL}")
    role.version += 1
    role.expires = NOW + timedelta(days=300)
    role.targets[path] = TargetFile.from_data(path, target, ["sha256"])
    return Signing(role, load_drawer_signers(home.offline, f"releases-{MODEL}"))


def make_release(
    home: Home, directory: Path, version: str = "1.1.0", *, bounds: Bounds = ANY_STEP
) -> SignedRelease:
    """A release as the offline side hands it over."""
    image = directory / f"{version}.img"
    image.write_bytes(f"firmware {version}".encode() * 1000)
    bill = directory / f"{version}.cdx.json"
    bill.write_text(f'{{"of": "{version}"}}')
    sbom = hashlib.sha256(bill.read_bytes()).hexdigest()
    manifest = encode_json(make_manifest(image.read_bytes(), version, bounds=bounds, sbom=sbom))
    signing = next_releases(home, manifest_path(MODEL, version), manifest)
    return SignedRelease(manifest, image, signing.data(), sbom=bill)


class FileFetcher(FetcherInterface):
    """A TUF client's network: the repository's directory, as a static server would serve it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self.root / urllib.parse.unquote(url.removeprefix("https://repository.test/"))
        if not path.is_file():
            raise DownloadHTTPError("not there", 404)
        yield path.read_bytes()


class TufClient:
    """A device's view: python-tuf's own client with its own cache."""

    def __init__(
        self, home: Home, directory: Path, fetcher: FetcherInterface | None = None
    ) -> None:
        self.home, self.directory = home, directory
        self.fetcher = fetcher or FileFetcher(home.repository)
        self.base = "https://repository.test"
        for name in ("metadata", "targets"):
            (directory / name).mkdir(parents=True, exist_ok=True)

    def refreshed(self) -> Updater:
        updater = Updater(
            str(self.directory / "metadata"),
            f"{self.base}/metadata/",
            str(self.directory / "targets"),
            f"{self.base}/targets/",
            fetcher=self.fetcher,
            bootstrap=(self.home.trust / "root.json").read_bytes(),
        )
        updater.refresh()
        return updater

    def read(self, path: str) -> bytes | None:
        """The target at `path` as the repository offers it now, fully verified."""
        updater = self.refreshed()
        info = updater.get_targetinfo(path)
        return None if info is None else Path(updater.download_target(info)).read_bytes()


@dataclass
class Device:
    """A device with its permanent identity, and operational ones as it gets them."""

    home: Home
    serial: str
    model: str = MODEL
    key: TlsKey = field(default_factory=generate_key)
    chain: bytes = b""

    def __post_init__(self) -> None:
        factory = load_issuer(
            (self.home.factory / "factory-ca.pem").read_bytes(),
            (self.home.factory / "factory-ca.key").read_bytes(),
        )
        request = make_request(
            self.key, model=self.model, serial=self.serial, purpose=Purpose.CLIENT
        )
        now = datetime.now(UTC)
        self.chain = issue_device_identity(factory, verify_request(request), now=now)

    def request(self, key: TlsKey, purpose: Purpose = Purpose.CLIENT, **changes: object) -> bytes:
        """A certificate request of this device, PEM."""
        names = {"model": self.model, "serial": self.serial, **changes}
        return make_request(key, purpose=purpose, **names)  # type: ignore[arg-type]


def make_report(kind: ReportKind, *, sequence: int = 1, **changes: object) -> bytes:
    values: dict[str, object] = {
        "model": MODEL,
        "kind": kind,
        "running": "1.0.0",
        "slot": "a",
        "sequence": sequence,
        "at": NOW,
        **changes,
    }
    return encode_json(Report(**values))  # type: ignore[arg-type]


@dataclass
class Running:
    """A service that listens on loopback."""

    home: Home
    service: Service
    port: int

    def client(self, chain: bytes | None = None, key: TlsKey | None = None) -> HttpsClient:
        roots = (self.home.trust / "service-root.pem").read_bytes()
        tls = client_context(roots_pem=roots, chain_pem=chain, key=key)
        return HttpsClient(f"https://{HOST}:{self.port}", tls=tls)


@contextmanager
def running(home: Home) -> Iterator[Running]:
    """The real service on a free port of loopback, with the real clock."""
    service = Service.load(home)
    started, address, loops = threading.Event(), [], []
    failures: list[BaseException] = []
    stops: list[asyncio.Event] = []

    async def serve() -> None:
        stop = asyncio.Event()
        stops.append(stop)
        loops.append(asyncio.get_running_loop())

        def ready(host: str, port: int) -> None:
            address.append(port)
            started.set()

        await run_service(
            service, host="127.0.0.1", port=0, stop=stop, ready=ready, log=lambda e, d: None
        )

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failures.append(error)
            started.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert started.wait(20)
        if failures:
            raise failures[0]
        yield Running(home, service, address[0])
    finally:
        if stops:
            loops[0].call_soon_threadsafe(stops[0].set)
        thread.join(20)
        assert not thread.is_alive()
        if failures and started.is_set() and address:
            raise failures[0]
