"""What the station reads of a repository for new devices: believed by the root in trust/ alone."""

import re
import shutil
from pathlib import Path

import pytest
from tests.vendor.workshop import MODEL, NOW, PRODUCT, Clock, make_release

from limpet.errors import Rejected, Unavailable
from limpet.vendor.factory.floor import load_first_floor
from limpet.vendor.home import Home, create
from limpet.vendor.repository import Repository
from limpet.vendor.repository.renewal import renew

RELEASES = f"releases/{MODEL}"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create(tmp_path / "vendor", PRODUCT, now=NOW, unsafe_without_gate=True)


def test_the_floor_rises_with_what_the_offline_keys_sign(home: Home, tmp_path: Path) -> None:
    before = load_first_floor(home)
    assert set(before) == {"targets", RELEASES}
    Repository(home, Clock()).add_release(make_release(home, tmp_path))
    after = load_first_floor(home)
    assert after[RELEASES].version == before[RELEASES].version + 1
    assert after[RELEASES].keys == before[RELEASES].keys
    assert after["targets"] == before["targets"]


def test_a_renewed_root_is_followed_from_the_one_in_trust(home: Home, tmp_path: Path) -> None:
    old = (home.trust / "root.json").read_bytes()
    renew(home, offline=home.offline, now=NOW)
    (home.trust / "root.json").write_bytes(old)
    assert load_first_floor(home)["targets"].version == 2


def test_a_repository_of_another_root_is_refused(home: Home, tmp_path: Path) -> None:
    """A thief of the server could otherwise give new devices a floor that nobody reaches."""
    other = create(tmp_path / "other", PRODUCT, now=NOW)
    renew(other, offline=other.offline, now=NOW)
    shutil.rmtree(home.repository)
    shutil.copytree(other.repository, home.repository)
    with pytest.raises(Rejected, match="root"):
        load_first_floor(home)


def test_forged_targets_are_refused(home: Home) -> None:
    [file] = (home.repository / "metadata").glob("*.targets.json")
    forged = re.sub(rb'"version": ?1\b', b'"version":9', file.read_bytes())
    assert forged != file.read_bytes()
    file.write_bytes(forged)
    with pytest.raises(Rejected):
        load_first_floor(home)


def test_a_station_without_the_metadata_says_what_it_needs(home: Home) -> None:
    shutil.rmtree(home.repository)
    with pytest.raises((Unavailable, Rejected)) as refused:
        load_first_floor(home)
    assert "public/repository" in str(refused.value) + refused.value.hint
