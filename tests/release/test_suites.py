"""A release goes by one suite: its firmware carries the file, its signers keep to it."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.release.workshop import NOW, now, order, signing

from limpet.crypto.suites import CURRENT, SUITE_FILE, bundled_suites, first_suite, load_suite
from limpet.errors import Rejected, Unavailable
from limpet.firmware.description import load_description
from limpet.firmware.image import range_reader
from limpet.firmware.installation import install_image
from limpet.release import Built, build_release, publish, sign_release
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository

HYBRID = bundled_suites()[CURRENT.version]


def installed(built: Built, slot: Path) -> Path:
    install_image(
        built.manifest.image, range_reader(built.image), slot, journal=slot.with_name("journal")
    )
    return slot


def suite_of(slot: Path) -> list[Path]:
    return list((slot / "runtime" / "limpet" / "crypto" / "suites").glob("*.toml"))


def test_firmware_carries_the_vendors_suite_and_no_other(built: Built, tmp_path: Path) -> None:
    slot = installed(built, tmp_path / "slot")
    [file] = suite_of(slot)
    assert file.read_bytes() == HYBRID.read_bytes()
    assert load_description(slot).suite == built.manifest.suite == CURRENT.id


def test_a_vendor_from_before_builds_by_the_first_suite(
    product: Path, home: Home, tmp_path: Path
) -> None:
    (home.trust / SUITE_FILE).unlink()
    built = build_release(order(product, home), tmp_path / "old")
    [file] = suite_of(installed(built, tmp_path / "slot"))
    assert file.name == "limpet-2026.toml"
    assert built.manifest.suite == load_suite(first_suite()).id


def test_a_release_may_be_built_by_a_suite_of_its_own(
    product: Path, home: Home, tmp_path: Path
) -> None:
    own = tmp_path / "own.toml"
    own.write_text(HYBRID.read_text().replace("version = 2\n", "version = 7\n"))
    built = build_release(replace(order(product, home), suite=own), tmp_path / "release")
    assert built.manifest.suite.version == 7
    [file] = suite_of(installed(built, tmp_path / "slot"))
    assert load_suite(file).version == 7


def test_a_bad_or_missing_suite_stops_the_build(product: Path, home: Home, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(HYBRID.read_text().replace("groups", "group"))
    with pytest.raises(Rejected) as refused:
        build_release(replace(order(product, home), suite=bad), tmp_path / "release")
    assert "group" in refused.value.message
    with pytest.raises(Unavailable):
        build_release(
            replace(order(product, home), suite=tmp_path / "none.toml"), tmp_path / "release"
        )
    assert not (tmp_path / "release" / "manifest.json").exists()


def test_one_familys_signature_is_half_a_signature(built: Built, home: Home) -> None:
    """Signers with a key each: after the first the release is not valid, and is not published."""
    first, second = (
        home.offline / "releases-thermostat.pem",
        home.offline / "releases-thermostat-ml-dsa-65.pem",
    )
    half = sign_release(built.directory, signing(home, first), now=NOW)
    assert (half.missing, half.is_valid) == (("ml-dsa-65/1",), False)
    with pytest.raises(Rejected) as refused:
        publish(built.directory, home.root, clock=now)
    assert refused.value.reason == "bad-signature"
    whole = sign_release(built.directory, signing(home, second), now=NOW)
    assert (whole.missing, whole.is_valid) == ((), True)
    publish(built.directory, home.root, clock=now)
    assert len(Repository(home, now).releases()) == 1


def test_a_key_whose_scheme_was_retired_for_releases_signs_none(
    built: Built, home: Home, tmp_path: Path
) -> None:
    """Ed25519 stays for the online roles: that is no licence for the offline ones."""
    both, one = 'offline = [["ed25519"], ["ml-dsa-65/1"]]', 'offline = [["ml-dsa-65/1"]]'
    trust = tmp_path / "trust"
    shutil.copytree(home.trust, trust)
    (trust / SUITE_FILE).write_text(HYBRID.read_text().replace(both, one))
    with pytest.raises(Rejected) as refused:
        sign_release(
            built.directory,
            replace(signing(home), root=trust / "root.json"),
            now=NOW,
        )
    assert refused.value.reason == "weak-key"
    assert "ed25519" in refused.value.message
    assert not (built.directory / "releases.json").exists()
