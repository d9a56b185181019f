"""The vendor's directory: made whole or not at all, private where it must be, never overwritten."""

import contextlib
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.vendor.workshop import NOW, PRODUCT, make_home

from limpet.crypto.keys import signing_key_from_pem, tls_key_from_pem
from limpet.errors import Rejected, Unavailable
from limpet.vendor.home import Home, create, hold_lock, open_home
from limpet.vendor.store import Database

PRIVATE_KEY = b"PRIVATE KEY-----"


def test_every_private_key_is_readable_by_its_owner_only(home: Home) -> None:
    keys = [
        path for path in home.root.rglob("*") if path.is_file() and PRIVATE_KEY in path.read_bytes()
    ]
    assert {path.relative_to(home.root).parts[0] for path in keys} == {
        "offline",
        "factory",
        "online",
    }
    assert len(keys) == 8 + 1 + 5  # three of the offline roles' keys are ML-DSA-65
    for path in [*keys, home.database]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    for drawer in (home.offline, home.factory, home.online):
        assert stat.S_IMODE(drawer.stat().st_mode) == 0o700, drawer


def test_every_key_is_another_one(home: Home) -> None:
    found = []
    for path in home.root.rglob("*"):
        if path.is_file() and PRIVATE_KEY in path.read_bytes():
            found.append(path.read_bytes())
    assert len(set(found)) == len(found)


def test_the_offline_keys_can_be_encrypted(tmp_path: Path) -> None:
    home = create(tmp_path / "v", PRODUCT, now=NOW, passphrase=b"four words are enough")
    for path in home.offline.glob("*"):
        if PRIVATE_KEY not in path.read_bytes():
            continue
        load = tls_key_from_pem if path.suffix == ".key" else signing_key_from_pem
        with pytest.raises(Rejected, match="passphrase"):
            load(path.read_bytes())
        load(path.read_bytes(), passphrase=b"four words are enough")


def test_the_service_is_named_as_the_product_says_or_as_asked(tmp_path: Path) -> None:
    home = create(tmp_path / "a", PRODUCT, now=NOW)
    assert home.settings.hostnames[-1] == "localhost"
    named = create(tmp_path / "b", PRODUCT, hostnames=["up.example"], now=NOW)
    assert named.settings.hostnames == ("up.example", "localhost")


def test_a_directory_with_anything_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "thesis.txt").write_text("dear")
    with pytest.raises(Unavailable, match="not empty"):
        make_home(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["vendor", "thesis.txt"]


def test_an_empty_directory_is_used(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    assert open_home(make_home(tmp_path).root).settings.model == "thermostat"


def test_a_bad_product_makes_nothing(tmp_path: Path) -> None:
    (tmp_path / "product.toml").write_text("[maker]\n")
    with pytest.raises(Rejected):
        create(tmp_path / "vendor", tmp_path, now=NOW)
    assert [path.name for path in tmp_path.iterdir()] == ["product.toml"]


def test_no_directory_gives_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="not a vendor's directory") as caught:
        open_home(tmp_path / "nothing")
    assert "vendor init" in caught.value.hint


def test_damaged_settings_give_one_clear_error(home: Home) -> None:
    (home.online / "vendor.json").write_bytes(b'{"spec":')
    with pytest.raises(Rejected, match=r"vendor\.json") as caught:
        open_home(home.root)
    assert "backup" in caught.value.hint


def kill_a_making(directory: Path, staging: Path) -> None:
    """Start the real command and kill it while it fills its staging directory.

    What was made before it could be killed is removed: it is tried again.
    """
    command = [sys.executable, "-m", "limpet", "vendor", "init", str(directory)]
    for _ in range(10):
        process = subprocess.Popen([*command, "--product", str(PRODUCT)])
        deadline = time.monotonic() + 120
        while not (staging / "offline").exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.001)
        process.kill()
        if process.wait(60) == -signal.SIGKILL and not directory.exists():
            return
        shutil.rmtree(directory)
    pytest.fail("it always ended before it was killed")


def test_a_making_that_was_killed_is_recognised_and_made_anew(tmp_path: Path) -> None:
    directory, staging = tmp_path / "vendor", tmp_path / ".vendor.part"
    kill_a_making(directory, staging)
    assert not directory.exists()
    with pytest.raises(Unavailable) as caught:
        open_home(directory)
    assert "cut off" in caught.value.hint
    abandoned = {p.read_bytes() for p in staging.rglob("*") if p.suffix in (".pem", ".key")}
    home = create(directory, PRODUCT, now=NOW)
    assert not staging.exists()
    kept = {p.read_bytes() for p in home.root.rglob("*") if p.suffix in (".pem", ".key")}
    assert not abandoned & kept, "no key of the abandoned attempt is used"


def test_two_cannot_make_the_same_directory_at_once(tmp_path: Path) -> None:
    staging = tmp_path / ".vendor.part"
    staging.mkdir()
    descriptor = os.open(staging, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(Unavailable, match="another process"):
        make_home(tmp_path)
    os.close(descriptor)
    make_home(tmp_path)


def test_a_lock_waits_and_then_gives_up(tmp_path: Path) -> None:
    order: list[str] = []

    def later() -> None:
        with hold_lock(tmp_path / "lock"):
            order.append("second")

    with hold_lock(tmp_path / "lock"):
        with (
            pytest.raises(Unavailable, match="another process"),
            hold_lock(tmp_path / "lock", seconds=0.05),
        ):
            pass
        thread = threading.Thread(target=later)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_damaged_database_gives_one_clear_error(home: Home) -> None:
    data = bytearray(home.database.read_bytes())
    data[5000:9000] = os.urandom(4000)
    for content in (b"", b"garbage" * 999, bytes(data)):
        home.database.write_bytes(content)
        for rest in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                home.database.with_name(home.database.name + rest).unlink()
        with pytest.raises(Rejected) as caught:
            Database.open(home.database)
        assert caught.value.reason == "bad-database"
        assert caught.value.hint


def test_a_missing_database_is_not_made_anew(home: Home) -> None:
    home.database.unlink()
    with pytest.raises(Unavailable, match="no database"):
        Database.open(home.database)
    assert not home.database.exists()


def test_a_database_of_another_version_is_refused(home: Home) -> None:
    with Database.open(home.database).transaction() as connection:
        connection.exec_driver_sql("PRAGMA user_version = 99")
    with pytest.raises(Rejected, match="schema 99"):
        Database.open(home.database)
