"""The vendor's repository as the audit reads it: a real one, and one that was tampered with."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.audit.specimens import THERMOSTAT

from limpet.audit import Target
from limpet.audit.instruments.repository import read_repository
from limpet.errors import LimpetError
from limpet.vendor.home import create


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    directory = tmp_path / "vendor"
    make_vendor(directory)
    return directory


def make_vendor(directory: Path) -> None:
    create(directory, THERMOSTAT / "product.toml", now=datetime.now(UTC))


def read(vendor: Path) -> object:
    return read_repository(Target(vendor_dir=vendor, now=lambda: datetime.now(UTC)))


def test_a_new_repository_verifies_from_its_root(vendor: Path) -> None:
    repository = read_repository(Target(vendor_dir=vendor, now=lambda: datetime.now(UTC)))
    assert repository.root_is_given
    assert {"root", "timestamp", "snapshot", "targets"} <= set(repository.roles)
    assert repository.roles["releases/thermostat"].schemes == {"ed25519", "ml-dsa-65/1"}


def test_metadata_that_was_changed_is_refused(vendor: Path) -> None:
    path = vendor / "public" / "repository" / "metadata" / "timestamp.json"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"version"', b'"Version"', 1))
    with pytest.raises(LimpetError):
        read(vendor)


def test_a_repository_under_another_root_is_refused(vendor: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_vendor(other)
    (vendor / "trust" / "root.json").write_bytes((other / "trust" / "root.json").read_bytes())
    with pytest.raises(LimpetError, match="not signed as its delegation says"):
        read(vendor)
