"""Taking a newer suite: a fleet is moved to ML-DSA, and an algorithm is retired, step by step."""

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import pytest
from msgspec.structs import replace
from tests.vendor.workshop import (
    HOST,
    MODEL,
    NOW,
    PRODUCT,
    Clock,
    Device,
    make_release,
    next_releases,
    running,
)

from limpet.crypto.suites import (
    CURRENT,
    SUITE_FILE,
    Suite,
    bundled_suites,
    first_suite,
    load_suite,
)
from limpet.crypto.tls import client_context
from limpet.device.updater.floor import Floor
from limpet.device.updater.repository import Repository as DeviceRepository
from limpet.device.updater.source import NotFound
from limpet.errors import LimpetError, Rejected, Unavailable
from limpet.https.client import HttpsClient
from limpet.vendor.home import Home, create
from limpet.vendor.repository import Repository, suites
from limpet.vendor.repository.suites import take_for_firmware, take_for_service
from limpet.wire.release import manifest_path

HYBRID = bundled_suites()[CURRENT.version]


class Files:
    """The published repository, as a device reads it."""

    def __init__(self, home: Home) -> None:
        self.root = home.repository

    def get(self, path: str, *, max_bytes: int) -> bytes:
        file = self.root / unquote(path)
        if not file.is_file():
            raise NotFound(path, 404)
        return file.read_bytes()

    def stream(
        self, path: str, offset: int, end: int, *, wait: Callable[[], float]
    ) -> AbstractContextManager[Iterator[bytes]]:
        return nullcontext(iter([self.get(path, max_bytes=1 << 30)[offset:end]]))


class Fleet:
    """A device of each kind, with the root that was in its firmware and a memory of its own."""

    def __init__(self, home: Home, directory: Path) -> None:
        self.home, self.directory = home, directory
        self.root = (home.trust / "root.json").read_bytes()
        self.old = self.device("old", load_suite(first_suite()))

    def device(self, name: str, suite: Suite) -> DeviceRepository:
        root = (self.home.trust / "root.json").read_bytes()
        return DeviceRepository(
            Files(self.home),
            model=MODEL,
            directory=self.directory / name,
            trusted_root=root,
            suite=suite,
        )


def look(device: DeviceRepository) -> None:
    device.look(Floor(time=NOW), now=NOW, keep=lambda floor: None)


@pytest.fixture
def old_home(tmp_path: Path) -> Home:
    """A vendor from before suites were files: no `suite.toml`, and Ed25519 keys only."""
    home = create(
        tmp_path / "vendor", PRODUCT, now=NOW, unsafe_without_gate=True, suite=first_suite()
    )
    for drawer in (home.trust, home.online):
        (drawer / SUITE_FILE).unlink()
    assert sorted(file.name for file in home.offline.glob("*ml-dsa*")) == []
    return home


@pytest.fixture
def fleet(old_home: Home, tmp_path: Path) -> Fleet:
    found = Fleet(old_home, tmp_path)
    look(found.old)
    return found


def test_a_vendor_from_before_keeps_working_by_the_first_suite(
    old_home: Home, fleet: Fleet, tmp_path: Path
) -> None:
    assert [suite.version for suite in old_home.suites] == [1, 1]
    Repository(old_home, Clock()).add_release(make_release(old_home, tmp_path))
    look(fleet.old)


def test_a_fleet_is_moved_to_both_families_and_no_device_is_left_behind(
    old_home: Home, fleet: Fleet, tmp_path: Path
) -> None:
    made = take_for_firmware(old_home, HYBRID, offline=old_home.offline, now=NOW)
    assert [file.name for file in made] == [
        "tuf-root-ml-dsa-65.pem",
        "tuf-targets-ml-dsa-65.pem",
        f"releases-{MODEL}-ml-dsa-65.pem",
    ]
    assert old_home.firmware_suite == CURRENT
    new = fleet.device("new", CURRENT)
    look(fleet.old)
    look(new)
    Repository(old_home, Clock()).add_release(make_release(old_home, tmp_path))
    look(fleet.old)
    look(new)
    take_for_service(old_home, HYBRID)
    assert old_home.service_suite == CURRENT


def test_after_the_move_one_family_signs_no_release(
    old_home: Home, fleet: Fleet, tmp_path: Path
) -> None:
    take_for_firmware(old_home, HYBRID, offline=old_home.offline, now=NOW)
    release = make_release(old_home, tmp_path)
    signing = next_releases(old_home, manifest_path(MODEL, "1.1.0"), release.manifest)
    for signer in list(signing.signers):
        signing.signers = [signer]
        with pytest.raises(Rejected) as refused:
            Repository(old_home, Clock()).add_release(
                dataclasses.replace(release, metadata=signing.data())
            )
        assert refused.value.reason == "bad-signature"


def test_taking_it_twice_changes_nothing_more(old_home: Home, fleet: Fleet) -> None:
    take_for_firmware(old_home, HYBRID, offline=old_home.offline, now=NOW)
    before = {str(p): p.read_bytes() for p in old_home.public.rglob("*") if p.is_file()}
    assert take_for_firmware(old_home, HYBRID, offline=old_home.offline, now=NOW) == ()
    assert {str(p): p.read_bytes() for p in old_home.public.rglob("*") if p.is_file()} == before


class _Cut(BaseException):
    """The power fails."""


def _cut_after(count: int) -> Callable[[str], None]:
    seen = []

    def watch(name: str) -> None:
        seen.append(name)
        if len(seen) > count:
            raise _Cut(name)

    return watch


@pytest.mark.parametrize("count", range(5))
def test_a_cut_at_any_write_leaves_old_devices_a_valid_repository_and_can_be_finished(
    old_home: Home, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(suites, "Repository", partial(Repository, after_write=_cut_after(count)))
    with pytest.raises(_Cut):
        take_for_firmware(old_home, HYBRID, offline=old_home.offline, now=NOW)
    look(fleet.old)
    monkeypatch.setattr(suites, "Repository", Repository)
    take_for_firmware(old_home, HYBRID, offline=old_home.offline, now=NOW)
    look(fleet.old)
    look(fleet.device("new", CURRENT))


def rewritten(tmp_path: Path, version: int, *changes: tuple[str, str]) -> Path:
    """The hybrid suite with another version and other rules."""
    text = HYBRID.read_text().replace("version = 2\n", f"version = {version}\n")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / f"suite-{version}.toml"
    file.write_text(text)
    return file


BOTH = 'offline = [["ed25519"], ["ml-dsa-65/1"]]'
ML_DSA_BESIDE = ((BOTH, 'offline = [["ml-dsa-65/1"]]'), ("besides = []", 'besides = ["ed25519"]'))
ML_DSA_ONLY = ((BOTH, 'offline = [["ml-dsa-65/1"]]'),)


def test_ed25519_is_retired_for_offline_roles_in_two_steps(home: Home, tmp_path: Path) -> None:
    """First it is asked for no more, then, once no device asks for it, its keys go."""
    hybrid = Fleet(home, tmp_path).device("hybrid", CURRENT)
    look(hybrid)
    beside = rewritten(tmp_path, 3, *ML_DSA_BESIDE)
    only = rewritten(tmp_path, 4, *ML_DSA_ONLY)
    take_for_firmware(home, beside, offline=home.offline, now=NOW)
    look(hybrid)
    with pytest.raises(Rejected):  # devices that ask for Ed25519 may still be out there
        take_for_firmware(home, only, offline=home.offline, now=NOW)
    look(hybrid)
    take_for_service(home, beside)
    take_for_firmware(home, only, offline=home.offline, now=NOW)
    state = Repository(home, Clock()).state()
    assert [state.root.keys[k].scheme for k in state.root.roles["root"].keyids] == ["ml-dsa-65/1"]
    look(Fleet(home, tmp_path).device("last", load_suite(only)))
    with pytest.raises(LimpetError):
        look(hybrid)


def test_an_older_suite_is_never_taken(home: Home, tmp_path: Path) -> None:
    other = rewritten(tmp_path, 2, ("passes = 2", "passes = 3"))
    for file in (first_suite(), other):
        for take in (
            partial(take_for_firmware, offline=home.offline, now=NOW),
            take_for_service,
        ):
            with pytest.raises(Rejected) as refused:
                take(home, file)
            assert refused.value.reason == "rollback"
    assert home.suites == (CURRENT, CURRENT)


def test_the_service_does_not_go_ahead_of_the_firmware(home: Home, tmp_path: Path) -> None:
    with pytest.raises(Rejected) as refused:
        take_for_service(home, rewritten(tmp_path, 3))
    assert refused.value.reason == "too-early"


def test_a_suite_that_the_services_own_certificate_does_not_meet_is_not_taken(
    home: Home, tmp_path: Path
) -> None:
    curves = ('curves = ["secp256r1", "secp384r1"]', 'curves = ["secp384r1"]')
    strict = rewritten(tmp_path, 3, curves)
    take_for_firmware(home, strict, offline=home.offline, now=NOW)
    with pytest.raises(Rejected) as refused:
        take_for_service(home, strict)
    assert refused.value.reason == "weak-key"
    assert home.service_suite == CURRENT
    deaf = rewritten(tmp_path, 4, ('    "ecdsa_secp256r1_sha256",  # FIPS 186-5\n', ""))
    take_for_firmware(home, deaf, offline=home.offline, now=NOW)
    with pytest.raises(Unavailable):
        take_for_service(home, deaf)


def test_the_service_refuses_a_device_whose_certificate_its_suite_has_retired(
    home: Home, tmp_path: Path
) -> None:
    """And goes on to serve the others."""
    device, cacerts = Device(home, "TH-0001"), "/.well-known/est/cacerts"
    with running(home) as service, service.client(device.chain, device.key) as client:
        assert client.get(cacerts, max_bytes=1 << 16).status == 200
    curves = ('curves = ["secp256r1", "secp384r1"]', 'curves = ["secp384r1"]')
    shutil.copy(rewritten(tmp_path, 3, curves), home.online / SUITE_FILE)
    lax = replace(CURRENT, version=9)
    roots = (home.trust / "service-root.pem").read_bytes()
    with running(home) as service:
        for chain, key in ((device.chain, device.key), (None, None)):
            tls = client_context(roots_pem=roots, suite=lax, chain_pem=chain, key=key)
            with HttpsClient(f"https://{HOST}:{service.port}", tls=tls) as client:
                if chain is None:
                    assert client.get(cacerts, max_bytes=1 << 16).status == 200
                else:
                    with pytest.raises(Unavailable):
                        client.get(cacerts, max_bytes=1 << 16)


def test_several_people_rename_their_keys_by_hand(old_home: Home, fleet: Fleet) -> None:
    """A command on one machine cannot hold the keys of two people."""
    from securesystemslib.signer import CryptoSigner

    from limpet.vendor.repository._metadata import load_drawer_signers, renewed, sign_metadata

    state = Repository(old_home, Clock()).state()
    state.root.add_key(CryptoSigner.generate_ed25519().public_key, "root")
    root, targets = (
        sign_metadata(
            renewed(signed, now=NOW, lifetime=timedelta(days=3 * 365)),
            *load_drawer_signers(old_home.offline, f"tuf-{signed.type}"),
        )
        for signed in (state.root, state.targets)
    )
    Repository(old_home, Clock()).publish_roots(root, targets)
    with pytest.raises(Rejected) as refused:
        take_for_firmware(old_home, HYBRID, offline=old_home.offline, now=NOW)
    assert refused.value.reason == "by-hand"
    shutil.rmtree(old_home.root)
