"""tuf-js, another project's TUF client in another language, reads what our tools published.

It is installed for the run from `package-lock.json`, by content: nothing of it is committed. It
knows Ed25519 and no ML-DSA, so it verifies the whole repository of a vendor with the suite
limpet-2026, and refuses the root of a hybrid one.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.node import install

from limpet.crypto.suites import find_suite
from limpet.release import (
    BuildOrder,
    SigningOrder,
    build_release,
    default_keys,
    publish,
    sign_release,
)
from limpet.vendor.home import Home, create
from limpet.vendor.repository import Repository
from limpet.vendor.repository.renewal import renew
from limpet.wire.release import Bounds, manifest_path
from limpet.wire.rollout import plan_path

HERE = Path(__file__).parent
EXAMPLE = Path("examples/thermostat")
MODEL = "thermostat"
NOW = datetime.now(UTC).replace(microsecond=0)
MANIFEST, PLAN = manifest_path(MODEL, "1.1.0"), plan_path(MODEL)
PATIENCE = 120.0  # seconds


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Client:
    """tuf-js, installed in a directory of the test's."""

    directory: Path

    def read(self, home: Home, address: str, *targets: str) -> dict[str, Any]:
        """What it says of the repository at `address`, as a client without a cache."""
        kept = self.directory / f"kept-{len(list(self.directory.iterdir()))}"
        command = ["node", str(self.directory / "read.mjs"), f"{address}/repository"]
        command += [str(home.repository / "metadata" / "1.root.json"), str(kept), *targets]
        trusted = {"NODE_EXTRA_CA_CERTS": str(home.trust / "service-root.pem")}
        done = subprocess.run(
            command, env=os.environ | trusted, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.stdout, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        assert ("error" in said) == bool(done.returncode), done.stderr
        return said


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Client:
    directory = tmp_path_factory.mktemp("tuf-js")
    for name in ("package.json", "package-lock.json", "read.mjs"):
        shutil.copy(HERE / name, directory)
    install(directory, untried="no foreign client read a repository")
    return Client(directory)


def make_vendor(directory: Path, suite: str) -> Home:
    """A vendor that has renewed its root once and published one release, by its own tools."""
    home = create(
        directory / "vendor", EXAMPLE, now=NOW, unsafe_without_gate=True, suite=find_suite(suite)
    )
    renew(home, offline=home.offline, now=now() + timedelta(seconds=1))
    order = BuildOrder(
        product=EXAMPLE,
        trust=home.trust,
        version="1.1.0",
        security_counter=1,
        interface_version=1,
        bounds=Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1_000_000),
        built_at=NOW,
    )
    out = directory / "release"
    build_release(order, out)
    signing = SigningOrder(
        repository=home.repository,
        root=home.trust / "root.json",
        keys=tuple(default_keys(home.offline, MODEL)),
    )
    sign_release(out, signing, now=now())
    publish(out, home.root, clock=now)
    return home


@contextmanager
def serving(home: Home) -> Iterator[str]:
    """`limpet vendor serve`; its address."""
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    server = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().rpartition(":")[2].strip()
        yield f"https://localhost:{port}"
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture(scope="module")
def classical(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_vendor(tmp_path_factory.mktemp("classical"), "limpet-2026")


@pytest.fixture(scope="module")
def address(classical: Home) -> Iterator[str]:
    with serving(classical) as where:
        yield where


@contextmanager
def changed(file: Path, content: bytes) -> Iterator[None]:
    """Another content while the service runs: at its start it would refuse its own repository."""
    before = file.read_bytes()
    assert content != before
    file.write_bytes(content)
    try:
        yield
    finally:
        file.write_bytes(before)


def test_it_verifies_a_classical_vendor_and_downloads_a_manifest_and_a_plan(
    client: Client, classical: Home, address: str
) -> None:
    said = client.read(classical, address, MANIFEST, PLAN, manifest_path(MODEL, "6.6.6"))
    state = Repository(classical, now).state()
    assert said["versions"] == {
        "root": 2,
        "timestamp": state.timestamp.version,
        "snapshot": state.snapshot.version,
        "targets": state.targets.version,
    }
    release = Repository(classical, now).find_release("1.1.0")
    manifest = Path(said["files"][MANIFEST]).read_bytes()
    assert hashlib.sha256(manifest).hexdigest() == release.manifest_sha256
    assert json.loads(Path(said["files"][PLAN]).read_bytes())["state"] == "idle"
    assert said["files"][manifest_path(MODEL, "6.6.6")] is None, "nobody signed it"


CHANGES = (
    ("2.root", "root was signed by 0/1 keys"),
    ("timestamp", "timestamp was signed by 0/1 keys"),
    ("3.snapshot", "Unable to load snapshot metadata error"),
    ("2.targets", "Unable to load targets error"),
    (f"2.releases/{MODEL}", "Unable to load targets error"),
    (f"1.rollout/{MODEL}", "Unable to load targets error"),
)
"""Root and timestamp are held by signatures alone, the rest by the hash in what names it, too."""


@pytest.mark.parametrize(("role", "message"), CHANGES)
def test_it_refuses_metadata_of_any_role_that_was_changed(
    client: Client, classical: Home, address: str, role: str, message: str
) -> None:
    """The control: one date is later than what was signed, and nothing else is wrong."""
    file = classical.repository / "metadata" / f"{role}.json"
    later = re.sub(rb'("expires": ?")20..', rb"\g<1>2046", file.read_bytes())
    with changed(file, later):
        said = client.read(classical, address, MANIFEST, PLAN)
    assert message in said["message"], said
    assert "files" not in said


def test_it_refuses_a_manifest_that_was_changed(
    client: Client, classical: Home, address: str
) -> None:
    (file,) = (classical.repository / "targets" / "firmware" / MODEL).glob("*.1.1.0.json")
    with changed(file, file.read_bytes().replace(b"1.1.0", b"1.1.1")):
        said = client.read(classical, address, MANIFEST)
    assert said["error"] == "LengthOrHashMismatchError"


def test_it_stops_at_the_root_of_a_hybrid_vendor(client: Client, tmp_path: Path) -> None:
    """It knows no ML-DSA, counts one good signature of two, and so believes nothing at all."""
    home = create(tmp_path / "vendor", EXAMPLE, now=NOW, unsafe_without_gate=True)
    with serving(home) as address:
        said = client.read(home, address, PLAN)
    assert said["error"] == "UnsignedMetadataError"
    assert "1/2" in said["message"]
