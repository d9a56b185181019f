"""Which ids a device's roles get, and that no two running devices share one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.device.workshop import SRC, make_device, running

from limpet.device.enclosure import SERVING, User
from limpet.device.enclosure.users import (
    BLOCK,
    BLOCKS,
    FIRST_ID,
    LAST_ID,
    decide_users,
    hold_users,
)
from limpet.errors import Rejected, Unavailable

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives roles ids of their own")


def test_a_devices_ids_follow_from_its_path_and_differ_from_its_neighbours(tmp_path: Path) -> None:
    ids = [decide_users(tmp_path / str(n), first=None, named=None) for n in range(200)]
    assert ids[0] == decide_users(tmp_path / "0", first=None, named=None)
    every = [user.uid for users in ids for user in users.values()]
    assert len(set(every)) == len(every) == 200 * len(SERVING)
    assert all(FIRST_ID <= one <= LAST_ID for one in every)


def test_a_link_to_a_device_gives_it_no_other_ids(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")
    through = decide_users(tmp_path / "link", first=None, named=None)
    assert through == decide_users(tmp_path / "d", first=None, named=None)


def test_the_last_block_ends_before_the_numbers_that_are_no_users() -> None:
    assert FIRST_ID + BLOCKS * BLOCK - 1 <= LAST_ID


def test_named_users_go_before_the_block_and_a_given_block_before_both(tmp_path: Path) -> None:
    named = {role: User(uid=900 + n, gid=900 + n) for n, role in enumerate(SERVING)}
    assert decide_users(tmp_path, first=None, named=named) == named
    given = decide_users(tmp_path, first=FIRST_ID, named=named)
    assert [user.uid for user in given.values()] == list(range(FIRST_ID, FIRST_ID + len(SERVING)))


@pytest.mark.parametrize("first", [0, -5, 1 << 31, (1 << 32) - 2])
def test_a_block_with_root_or_beyond_the_numbers_of_users_is_refused(
    first: int, tmp_path: Path
) -> None:
    with pytest.raises(Rejected, match="no first user id"):
        decide_users(tmp_path, first=first, named=None)


def test_a_block_with_the_number_of_a_person_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="nobody"):
        decide_users(tmp_path, first=65534 - 2, named=None)


def test_ids_that_a_running_device_has_are_refused_to_the_next_one(tmp_path: Path) -> None:
    mine = decide_users(tmp_path, first=FIRST_ID, named=None)
    overlapping = decide_users(tmp_path, first=FIRST_ID + 4, named=None)
    with hold_users(mine, tmp_path / "one", locks=tmp_path / "locks"):
        with (
            pytest.raises(Unavailable, match="one") as caught,
            hold_users(overlapping, tmp_path / "two", locks=tmp_path / "locks"),
        ):
            raise AssertionError("both hold it")
        assert "--first-user-id" in caught.value.hint
    with hold_users(overlapping, tmp_path / "two", locks=tmp_path / "locks"):
        pass


@pytest.fixture
def block() -> Iterator[str]:
    return str(FIRST_ID + BLOCKS * BLOCK)  # of no device's path


def _boot(root: Path, *options: str, uid: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "limpet.device.boot", str(root), *options],
        capture_output=True, text=True, timeout=150, user=uid,
        env={**os.environ, "PYTHONPATH": str(SRC.parent)},
    )  # fmt: skip


@AS_ROOT
@pytest.mark.end_to_end
def test_two_devices_of_one_block_do_not_run_at_once(tmp_path: Path, block: str) -> None:
    option = ("--first-user-id", block)
    with running(make_device(tmp_path / "one"), *option) as device:
        status = Path(f"/proc/{device.pid_of('keeper')}/status").read_text()
        assert f"Uid:\t{block}\t" in status
        done = _boot(make_device(tmp_path / "two"), *option)
        assert done.returncode == 3
        assert f"is in use by the device in {device.root}" in done.stderr
        assert len(done.stderr.splitlines()) <= 2


@pytest.mark.skipif(os.geteuid() == 0, reason="for ordinary users")
@pytest.mark.end_to_end
def test_an_ordinary_user_who_asks_for_ids_is_told_that_only_root_has_them(tmp_path: Path) -> None:
    done = _boot(make_device(tmp_path / "d"), "--first-user-id", str(FIRST_ID))
    assert done.returncode == 1
    assert "only root gives roles user ids" in done.stderr


@AS_ROOT
@pytest.mark.parametrize("first", ["0", "root"])
def test_a_first_id_that_is_none_is_one_clear_line(first: str, tmp_path: Path) -> None:
    done = _boot(make_device(tmp_path / "d"), "--first-user-id", first)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert "first" in done.stderr
