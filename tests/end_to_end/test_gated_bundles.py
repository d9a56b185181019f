"""A device that has RAUC and asks for the gate's word: what the gate passed is installed, by the
real RAUC; whatever else is signed, by all keys but the gate's, is not."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.commands import limpet
from tests.device.blocks import needs_blocks
from tests.device.workshop import until
from tests.end_to_end.rauc_system import RaucSystem
from tests.end_to_end.test_update import EXAMPLE, World, make_world
from tests.release.advisories.records import record, write_directory

from limpet.crypto.attesting import new_attesting_key
from limpet.crypto.keys import key_to_pem
from limpet.demo.world import edit, keep_history
from limpet.release import load_built
from limpet.release.advisories import AdvisoryStore
from limpet.storage import read_bounded
from limpet.vendor.home import Home
from limpet.wire.rollout import PlannedRelease

pytestmark = [pytest.mark.end_to_end, needs_blocks]

WORD = "gate.intoto.json"
PASSED = "1.9.0"
"""The release that the gate lets pass."""
DESIGN = """
[development.rauc]
compatible = "thermostat"
keyring = "rauc-keyring.pem"
"""
SECRET = '"""What the technicians use."""\n\nSERVICE_PASSWORD = "th3rm0-service"\n'
NOBODY = {
    f"GIT_{role}_{part}": value
    for role in ("AUTHOR", "COMMITTER")
    for part, value in (("NAME", "A Developer"), ("EMAIL", "developer@example.com"))
} | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


def commit(product: Path, message: str) -> str:
    """Commit all that lies there; the commit's id."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(product), *words]
        done = subprocess.run(
            command, env={**os.environ, **NOBODY}, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("add", "--all")
    git("commit", "--quiet", "--allow-empty", "--message", message)
    return git("rev-parse", "HEAD")


@dataclass(frozen=True)
class Gated:
    """A vendor whose devices ask for the gate's word, one of those, and its RAUC."""

    world: World
    rauc: RaucSystem

    @property
    def base(self) -> Path:
        """Where all of it lies."""
        return self.world.home.root.parent

    def build(self, version: str) -> Path:
        """A bundle of what the product is now, by the vendor's own packer."""
        out = self.base / f"release-{version}"
        words = ["release", "build", self.world.product, "--trust", self.world.home.trust]
        words += ["--version", version, "--source-commit", commit(self.world.product, version)]
        words += ["--minimum-days", "0", "--largest-step", "100", "--without-packages"]
        words += ["--form", "bundle", "--packer", self.rauc.packer(), "--out", out]
        typed(*words)
        return out

    def judge(self, out: Path, *options: object, status: int = 0) -> list[str]:
        """The product's tests, and the whole gate; the rules that did not pass."""
        tests = self.base / f"{out.name}.xml"
        typed("product", "test", self.world.product, "--out", tests)
        words = ["release", "check", self.world.product, "--release", out, "--tests", tests]
        words += ["--vendor", self.world.home.root, "--advisories", self.base / "known.sqlite"]
        report = json.loads(typed(*words, "--json", *options, status=status))
        verdicts = {one["rule"]: one["finding"]["verdict"] for one in report["judgements"]}
        return [rule for rule, one in verdicts.items() if one not in {"passed", "not applicable"}]

    def offer(self, out: Path) -> None:
        """The plan names it, for every device."""
        built = load_built(out)
        version = built.manifest.version
        self.world.offer(PlannedRelease(version=version, manifest_sha256=built.manifest_sha256))

    def verify_refused(self, version: str, reason: str, words: str) -> None:
        """The device names the reason, and nothing of it reached RAUC or a slot."""
        device = self.world.device
        found = f"{reason}: "
        until(
            lambda: any(
                entry.event == "update-refused" and found in entry.detail and words in entry.detail
                for entry in device.log()
            ),
            f"{version} was not refused as {reason}",
            device,
        )
        assert not device.has_logged("update-begins", version), "nothing was even fetched"
        self.verify_old_runs()

    def verify_old_runs(self) -> None:
        """The device runs what it was made with, and RAUC was asked for nothing."""
        assert self.world.running_version() == "1.0.0"
        assert self.world.device.state.trial is None
        assert "installing" not in self.rauc.service_log
        assert (self.rauc.kept("primary"), self.rauc.kept("B")) == ("A", "")


def typed(*words: object, status: int = 0) -> str:
    """What a command printed."""
    done = limpet(*words)
    assert done.returncode == status, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gated]:
    base = tmp_path_factory.mktemp("gated")
    rauc = RaucSystem(base)

    def with_rauc(pristine: Path, place: Path) -> Path:
        """The example as a product whose devices have RAUC, under version control."""
        shutil.copytree(pristine, place)
        (place / "tests").mkdir()
        for name in ("conftest.py", "test_schedule.py"):
            shutil.copy(EXAMPLE / "tests" / name, place / "tests")
        shutil.copy(rauc.keyring, place / "rauc-keyring.pem")
        design = place / "product.toml"
        edit(design, 'component_sources = ["pypi"]', 'component_sources = ["pypi", "system"]')
        design.write_text(design.read_text() + DESIGN)
        keep_history(place)
        return place

    fresh = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    dump = write_directory(base / "dump" / "PyPI", record("TEST-1", "made-up", modified=fresh))
    AdvisoryStore.import_osv(base / "known.sqlite", dump.parent, now=datetime.now(UTC))
    for world in make_world(base, change=with_rauc, around=rauc.around, gated=True):
        yield Gated(world, rauc)


@pytest.fixture(scope="module")
def passed(gated: Gated) -> Path:
    """A release with the gate's word, not signed yet."""
    out = gated.build(PASSED)
    assert gated.judge(out) == []
    assert (out / WORD).is_file()
    return out


@pytest.fixture
def thief(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> "Thief":
    return Thief(gated, monkeypatch)


class Thief:
    """Has the release keys and the vendor's server, and makes either ask for no gate."""

    def __init__(self, gated: Gated, patch: pytest.MonkeyPatch) -> None:
        self.gated, self._patch = gated, patch

    def ship(self, out: Path) -> None:
        """Sign it, naming whatever lies there as the gate's word; publish and offer it."""

        def any_word(release: Path, trust: Path, *, manifest_sha256: str) -> str:
            word = release / WORD
            data = read_bounded(word, max_bytes=1 << 20) if word.exists() else b""
            return hashlib.sha256(data).hexdigest() if data else ""

        with self._patch.context() as patch:
            patch.setattr("limpet.release._signing.load_attestation", any_word)
            patch.setattr(Home, "gate_keys", ())
            self.gated.world.publish(load_built(out).manifest.version)
        self.gated.offer(out)


def test_a_bundle_that_names_no_word_of_the_gate_is_refused(gated: Gated, thief: Thief) -> None:
    thief.ship(gated.build("1.1.0"))
    gated.verify_refused("1.1.0", "ungated", "name no word of the gate")


def test_a_bundle_that_names_the_word_on_another_bundle_is_refused(
    gated: Gated, thief: Thief, passed: Path
) -> None:
    out = gated.build("1.2.0")
    shutil.copy(passed / WORD, out)
    thief.ship(out)
    gated.verify_refused("1.2.0", "bad-attestation", "speaks of another release")


def test_a_bundle_with_the_word_of_a_gate_that_the_device_does_not_know_is_refused(
    gated: Gated, thief: Thief
) -> None:
    """The whole gate ran, and passed it; but its key is anybody's."""
    out, key = gated.build("1.3.0"), gated.base / "another.pem"
    key.write_bytes(key_to_pem(new_attesting_key()))
    assert gated.judge(out, "--key", key) == []
    thief.ship(out)
    gated.verify_refused("1.3.0", "bad-attestation", "no key of the gate has signed")


def test_a_bundle_that_the_gate_refused_is_refused_though_its_word_is_true(
    gated: Gated, thief: Thief
) -> None:
    hurried = gated.world.product / "app" / "thermostat" / "service.py"
    hurried.write_text(SECRET)
    out = gated.build("1.4.0")
    assert gated.judge(out, status=1) == ["secrets-absent"]
    hurried.unlink()
    home = gated.world.home
    keys = ("--offline", home.offline, "--repository", home.repository)
    assert "gate did not let it pass" in limpet("release", "sign", out, *keys).stderr
    thief.ship(out)
    gated.verify_refused("1.4.0", "bad-attestation", "did not let it pass: secrets-absent")


def sign_and_publish(gated: Gated, out: Path) -> None:
    """As the release manager does."""
    home = gated.world.home
    typed(
        "release", "sign", out, "--offline", home.offline, "--repository", home.repository
    )  # fmt: skip
    typed("release", "publish", out, "--vendor", home.root)


def test_another_bundle_under_the_word_on_one_that_passed_is_refused_and_that_one_installed(
    gated: Gated, passed: Path
) -> None:
    """The gate's word names the manifest, and the manifest the bundle; RAUC's key signed both."""
    world, device = gated.world, gated.world.device
    sign_and_publish(gated, passed)
    image = world.home.repository / load_built(passed).manifest.image.path
    kept = image.read_bytes()
    other = world.home.repository / load_built(gated.base / "release-1.1.0").manifest.image.path
    image.write_bytes((other.read_bytes() + bytes(len(kept)))[: len(kept)])  # else: "malformed"
    gated.offer(passed)
    until(
        lambda: device.has_logged("update-refused", "tampered-image"), "it was not refused", device
    )
    gated.verify_old_runs()
    image.write_bytes(kept)
    until(lambda: world.running_version() == PASSED, "not confirmed", device)
    until(lambda: gated.rauc.kept("B") == "good", "RAUC was not told", device)
    assert gated.rauc.kept("primary") == "B"
    assert "installing" in gated.rauc.service_log
    word = (device.root / "updater" / "gate.json").read_bytes()
    assert word == (passed / WORD).read_bytes(), "the device holds what let it pass"
