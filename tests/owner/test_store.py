"""The store: secrets that only their owner can read, and records that survive."""

from pathlib import Path

import pytest

from limpet.errors import Rejected, Unavailable
from limpet.owner.store import DeviceRecord, Store, default_store

RECORD = DeviceRecord(
    serial="TH-00C0FFEE", model="thermostat", url="https://192.0.2.7:443", root_pem="PEM",
    name="owner", token="session-token", known="known-cookie",
)  # fmt: skip


def test_a_record_comes_back_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "a" / "devices")
    store.save(RECORD)
    assert store.load(RECORD.serial) == RECORD
    (path,) = store.directory.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert store.directory.stat().st_mode & 0o777 == 0o700


def test_no_secret_is_in_a_records_representation() -> None:
    assert "session-token" not in repr(RECORD)
    assert "known-cookie" not in repr(RECORD)


def test_a_record_that_others_can_read_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(RECORD)
    (tmp_path / "TH-00C0FFEE.json").chmod(0o640)
    with pytest.raises(Rejected, match="read by others"):
        store.load(RECORD.serial)


def test_a_damaged_record_is_one_clear_error(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(RECORD)
    (tmp_path / "TH-00C0FFEE.json").write_bytes(b"{")
    with pytest.raises(Rejected, match="is damaged"):
        store.load(RECORD.serial)


def test_the_only_device_needs_no_name_and_of_several_one_must_be_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Rejected, match="no device is known"):
        store.choose(None)
    store.save(RECORD)
    assert store.choose(None) == RECORD
    assert store.choose("th-00c0ffee") == RECORD
    store.save(DeviceRecord(serial="TH-2", model="", url="https://h:1", root_pem="PEM"))
    with pytest.raises(Rejected, match="2 devices are known here; say which"):
        store.choose(None)


@pytest.mark.parametrize("serial", ["../../etc/passwd", "a/b", "", ".", "TH 1"])
def test_a_serial_that_is_a_path_is_refused(tmp_path: Path, serial: str) -> None:
    with pytest.raises(Rejected):
        Store(tmp_path).load(serial)


def test_forgetting_removes_the_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.save(RECORD)
    store.forget(RECORD.serial)
    assert list(tmp_path.iterdir()) == []
    store.forget(RECORD.serial)


def test_the_usual_place_follows_xdg() -> None:
    assert default_store({"XDG_CONFIG_HOME": "/c", "HOME": "/h"}) == Path("/c/limpet/devices")
    home = Path("/h/.config/limpet/devices")
    assert default_store({"XDG_CONFIG_HOME": "relative", "HOME": "/h"}) == home
    with pytest.raises(Unavailable):
        default_store({})
