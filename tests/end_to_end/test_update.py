"""Updates of a real device by a real vendor: a good release, a bad one, a tampered one."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.device.workshop import Running, example_product, lacking_here, missing_in, running, until
from tests.end_to_end.shipping import make_order

from limpet.cli.main import run
from limpet.errors import Rejected
from limpet.firmware.devices import SlotDevices
from limpet.firmware.tree import digest_tree
from limpet.release import (
    BuildOrder,
    Form,
    SigningOrder,
    build_release,
    default_keys,
    load_built,
    load_olds,
    publish,
    sign_release,
)
from limpet.vendor.factory.station import Station, load_factory_image
from limpet.vendor.home import Home, create
from limpet.vendor.repository import Repository
from limpet.vendor.store import Database, Outcomes
from limpet.wire.rollout import Plan, PlannedRelease, PlanState

pytestmark = pytest.mark.end_to_end
EXAMPLE = example_product()
NOW = datetime.now(UTC).replace(microsecond=0)
HASTE = {
    "check_interval_seconds = 21600": "check_interval_seconds = 1",
    "check_interval_min_seconds = 14400": "check_interval_min_seconds = 1",
    "check_interval_max_seconds = 28800": "check_interval_max_seconds = 2",
}
DOOMED = ("health_deadline_seconds = 60", "health_deadline_seconds = 15")
UNIT = "MILLIDEGREES_PER_DEGREE = 1000"
WRONG_UNIT = "MILLIDEGREES_PER_DEGREE = 10"
"""A real bug: the measurement is a hundred times too high, and the app finds that implausible."""


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class World:
    """A vendor that serves, and a device that checks every other second."""

    home: Home
    device: Running
    product: Path
    pristine: Path  # the product before a test changed it

    @property
    def repository(self) -> Repository:
        return Repository(self.home, now)

    def release(
        self,
        version: str,
        *,
        product: Path | None = None,
        form: Form = Form.TREE,
        packer: Path | None = None,
        base: str = "1.0.0",
    ) -> PlannedRelease:
        """Build, with a delta from `base` where it is of the same form, sign and publish, as the
        manager does."""
        out = self.home.root.parent / f"release-{version}"
        wanted = order(self.home, product or self.product, version)
        old = self.home.root.parent / f"release-{base}"
        if load_built(old).manifest.image.kind == form.value and form is not Form.BUNDLE:
            olds = load_olds(
                [old],
                model="thermostat",
                kind=form.value,
                below=version,
                skipped=lambda manifest: None,
            )
            wanted = replace(wanted, delta_from=olds)
        build_release(replace(wanted, form=form, packer=packer), out)
        return self.publish(version)

    def publish(self, version: str) -> PlannedRelease:
        """Sign and publish what was built for `version`."""
        out = self.home.root.parent / f"release-{version}"
        keys = tuple(default_keys(self.home.offline, "thermostat"))
        signing = SigningOrder(
            repository=self.home.repository, root=self.home.trust / "root.json", keys=keys
        )
        sign_release(out, signing, now=now())
        publish(out, self.home.root, clock=now)
        return PlannedRelease(version=version, manifest_sha256=load_built(out).manifest_sha256)

    def offer(self, release: PlannedRelease, *, state: PlanState = PlanState.RUNNING) -> None:
        self.repository.publish_plan(
            Plan(
                model="thermostat",
                state=state,
                release=release,
                admitted_ppm=1_000_000,
                issued_at=now(),
            )
        )

    def running_version(self) -> str:
        record = self.device.state.record_of(self.device.state.good)
        assert record is not None
        return record.version

    def reported(self, reason: str) -> bool:
        """Whether the vendor knows, from the device, of this reason; the newest report need not
        say so, because the next check brings another."""
        database = Database.open(self.home.database)
        with database.transaction() as connection:
            reports = Outcomes(connection).reports_of(self.device.root.name.upper())
        return any(reason in str((one["kind"], one["reason"], one["detail"])) for one in reports)

    @property
    def device_url(self) -> str:
        """Where the device listens now."""
        where = json.loads((self.device.root / "run" / "listening.json").read_text())
        return f"https://{where['host']}:{where['port']}"


def doomed(product: Path) -> Path:
    """`product`, which has less time for its health: it has none, and nobody waits for it."""
    design = product / "product.toml"
    assert DOOMED[0] in design.read_text()
    design.write_text(design.read_text().replace(*DOOMED))
    return product


def order(home: Home, product: Path, version: str) -> BuildOrder:
    return make_order(home, product, version, at=NOW)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from make_world(tmp_path_factory.mktemp("update"))


def make_world(
    base: Path,
    *,
    change: Callable[[Path, Path], Path] | None = None,
    around: Callable[[Path], AbstractContextManager[None]] = lambda root: nullcontext(),
    devices: SlotDevices | None = None,
    gated: bool = False,
) -> Iterator[World]:
    """A vendor and a device of the example, which `change` may have made another product of;
    `around` surrounds the life of the device in a directory, whose slots may be `devices`. With
    `gated`, it asks for the gate's word."""
    pristine = base / "product"
    shutil.copytree(EXAMPLE, pristine, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests"))
    text = (pristine / "product.toml").read_text()
    for slow, fast in HASTE.items():
        assert slow in text
        text = text.replace(slow, fast)
    (pristine / "product.toml").write_text(text)
    product = change(pristine, base / "first") if change else pristine
    home = create(base / "vendor", product, now=NOW, unsafe_without_gate=not gated)
    form = Form.TREE if devices is None else Form.BLOCK
    build_release(replace(order(home, product, "1.0.0"), form=form), base / "release-1.0.0")
    image = load_factory_image(base / "release-1.0.0")
    made = Station(home, clock=now).make(image, base / "devices", count=1, devices=devices)
    directory = Path(next(iter(made)).directory)
    command = [sys.executable, "-m", "limpet", "vendor", "serve", str(home.root)]
    vendor = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert vendor.stdout is not None
        address = vendor.stdout.readline().rpartition("https://")[2].strip()
        with (
            around(directory),
            running(directory, "--resolve", f"vendor.example.com:443={address}") as device,
        ):
            yield World(home, device, product, pristine)
    finally:
        vendor.terminate()
        vendor.wait(60)


def test_a_signed_release_is_installed_tried_and_confirmed(world: World) -> None:
    world.offer(world.release("1.1.0"))
    until(lambda: world.running_version() == "1.1.0", "not confirmed", world.device)
    until(lambda: world.reported("confirmed"), "the vendor does not know", world.device)
    assert world.device.state.good == "b"
    assert world.device.has_logged("update-begins", "installing 1.1.0: delta from 1.0.0, ")
    assert not world.device.has_logged("delta-failed", ""), "the confined updater cannot decode"


def test_a_tampered_image_is_refused_and_the_vendor_is_told(world: World) -> None:
    before = world.device.state
    release = world.release("1.2.0")
    tampered = max(
        (world.home.repository / "images").iterdir(), key=lambda file: file.stat().st_mtime_ns
    )
    data = bytearray(tampered.read_bytes())
    data[len(data) // 2] ^= 1
    tampered.write_bytes(bytes(data))
    world.offer(release)
    until(
        lambda: world.device.has_logged("update-refused", "tampered-image"),
        "it was not refused",
        world.device,
    )
    until(
        lambda: world.reported("tampered-image"),
        "the vendor does not know",
        world.device,
    )
    assert world.device.state == before


def damage_delta(world: World, version: str) -> None:
    """One bit of the last segment of the release's delta, on the vendor's server."""
    manifest = load_built(world.home.root.parent / f"release-{version}").manifest
    assert manifest.image.codec == "zstd"
    (delta,) = manifest.deltas
    file = world.home.repository / delta.path
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(bytes(data))


def assert_delta_gave_way(world: World) -> None:
    """The updater decoded LZMA and Zstandard in one installation, confined as on every device."""
    device = world.device
    assert device.has_logged("update-begins", "installing 1.3.0: delta from 1.1.0, ")
    assert device.has_logged("delta-failed", "2 of 2")
    assert device.has_logged("delta-left", "the rest of the image is fetched whole")
    assert device.has_logged("update-installed", "1.3.0 is written")
    lacking = {name for name, _ in lacking_here()}

    def confined() -> bool:  # once each has started again and said so
        status = json.loads((device.root / "run" / "status.json").read_text())
        return all(missing_in(role["confinement"]) == lacking for role in status["roles"])

    until(confined, "a role is not confined as on every device", device)


def test_a_release_that_fails_its_health_check_falls_back_by_itself(world: World) -> None:
    good = world.running_version()
    tree = digest_tree(world.device.root / "slots" / world.device.state.good)
    broken = world.home.root.parent / "broken"
    shutil.copytree(world.product, broken)
    sensor = broken / "app" / "thermostat" / "sensor.py"
    assert UNIT in sensor.read_text()
    sensor.write_text(sensor.read_text().replace(UNIT, WRONG_UNIT))
    functions = broken / "app" / "thermostat" / "functions.py"
    begins = '    """Measurement, target, heater."""\n'
    assert begins in functions.read_text()
    functions.write_text(functions.read_text().replace(begins, f"{begins}    raise OSError\n"))
    release = world.release("1.3.0", product=doomed(broken), base=good)
    damage_delta(world, "1.3.0")
    world.offer(release)
    until(
        lambda: world.device.has_logged("update-fell-back", "1.3.0"),
        "no fall-back",
        world.device,
    )
    until(lambda: world.reported("fell-back"), "the vendor does not know", world.device)
    assert_delta_gave_way(world)
    assert world.device.has_logged("trial-failed", "unhealthy: app: ")
    assert world.device.has_logged("update-fell-back", "app: ")
    assert world.device.has_logged("update-fell-back", "; function status: status failed")
    assert world.reported("; function status: status failed")
    assert world.running_version() == good
    assert digest_tree(world.device.root / "slots" / world.device.state.good) == tree
    until(
        lambda: world.device.has_logged("update-held", "failed-before"),
        "it is tried again",
        world.device,
    )


def test_what_breaks_the_interface_is_held_by_the_device_until_its_owner_agrees(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`interface_version` says nothing of it, and whoever signed it left the vendor's gate out."""
    before = world.device.state
    world.release("1.3.4")  # what the gate compares with
    shorter = world.home.root.parent / "shorter"
    shutil.copytree(world.product, shorter)
    functions = shorter / "app" / "thermostat" / "functions.py"
    wide, narrow = "le=168)] = 24.0", "le=48)] = 24.0"
    assert functions.read_text().count(wide) == 1
    functions.write_text(functions.read_text().replace(wide, narrow))
    with pytest.raises(Rejected) as refused:
        world.release("1.3.5", product=shorter)
    assert refused.value.reason == "interface-change"
    monkeypatch.setattr("limpet.release._signing.verify_interface", lambda old, new: None)
    release = world.publish("1.3.5")
    assert load_built(world.home.root.parent / "release-1.3.5").manifest.interface_version == 1
    world.offer(release, state=PlanState.PAUSED)
    until(lambda: world.device.has_logged("update-held", "paused"), "not held", world.device)
    owner = owner_of(world, capsys)
    # The log has it a moment before the owner has: the check ends in between.
    paused = "held: the vendor has paused the rollout of 1.3.5; only the vendor can change that"
    until(lambda: paused in owner("update", "install", status=1), "not said", world.device)
    world.offer(release)
    reason = "changes the interface: GET /v1/functions/history"
    until(lambda: world.device.has_logged("update-held", reason), "not held", world.device)
    held = f"held: needs your consent, {reason}"
    until(lambda: held in " ".join(owner("update", "show").split()), "not said", world.device)
    until(lambda: world.reported("interface-change"), "the vendor does not know", world.device)
    assert world.device.state == before
    assert not world.device.has_logged("update-begins", "1.3.5")
    owner("update", "install")
    until(lambda: world.running_version() == "1.3.5", "not confirmed", world.device)


def owner_of(world: World, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command line of whoever claims the device now."""
    base = world.home.root.parent
    [label] = (base / "devices" / "labels").glob("*.txt")

    def types(*words: str, status: int = 0) -> str:
        capsys.readouterr()
        ended = run(["owner", *words, "--store", str(base / "store")])
        said = capsys.readouterr()
        assert ended == status, said.err
        return said.out + said.err

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO("a long passphrase of mine"))
        root = str(world.home.trust / "device-root.pem")
        types("claim", world.device_url, "--root", root, "--label", f"@{label}", "--password-stdin")
    return types


def test_a_device_whose_power_is_cut_in_the_middle_installs_after_all(world: World) -> None:
    """Everything of the device dies at once, as soon as it begins to install."""
    world.offer(world.release("1.4.0"))
    until(
        lambda: world.device.has_logged("update-begins", "1.4.0"), "it did not begin", world.device
    )
    for pid in world.device.processes():
        with contextlib.suppress(ProcessLookupError):  # it died with its parent
            os.kill(pid, signal.SIGKILL)
    resolve = _resolve_of(world)
    with running(world.device.root, "--resolve", resolve) as again:
        until(
            lambda: again.state.trial is None and _runs(again, "1.4.0"),
            "not installed",
            again,
        )


def _runs(device: Running, version: str) -> bool:
    record = device.state.record_of(device.state.good)
    return record is not None and record.version == version


def _resolve_of(world: World) -> str:
    arguments = world.device.boot.args
    assert isinstance(arguments, list)
    return str(arguments[arguments.index("--resolve") + 1])
