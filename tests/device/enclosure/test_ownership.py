"""Whose files a device's are: made by an ordinary user, started by root, cut off anywhere."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.device.workshop import SRC, make_device, running

from limpet.device.enclosure import SERVING
from limpet.device.enclosure.ownership import own_device, own_private
from limpet.device.enclosure.users import Users, find_users
from limpet.device.supervisor._slots import begin_erasing, finish_erasing
from limpet.firmware.adoption import adopt_tree
from limpet.firmware.tree import digest_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")

SOMEBODY = 1000
"""The ordinary user who made the device."""

CUT = """
import os, signal, sys
from pathlib import Path
from limpet.device.enclosure.ownership import own_device, own_private
from limpet.device.enclosure.users import find_users
root, left = Path(sys.argv[1]), int(sys.argv[2])
def count(event, arguments):
    global left
    if event in ("os.chown", "os.chmod"):
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
users = find_users(root, first=None)
sys.addaudithook(count)
own_device(root, users)
own_private(root, users)
"""


def _made_by_somebody(root: Path) -> Path:
    """A device as an ordinary user leaves it, small enough to be cut at every step."""
    for name in ("slots/a/app", "log", "run", *SERVING, "keeper/tokens", "updater/metadata"):
        (root / name).mkdir(parents=True)
    for name in (
        "identity.json", "keystore.toml", "slots/boot.json", "slots/a/product.toml",
        "slots/a/app/main.py", "log/device.log", "keeper/idevid.key", "keeper/tokens/key",
        "accounts/accounts.json", "updater/metadata/1.root.json",
    ):  # fmt: skip
        (root / name).write_text(name)
        (root / name).chmod(0o600)
    (root / "updater" / "metadata" / "root.json").symlink_to("1.root.json")
    for path in (root, *root.rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)
    return root


def _users(root: Path) -> Users:
    users = find_users(root, first=None)
    assert users is not None
    return users


def _owners(root: Path) -> dict[str, tuple[int, int, int]]:
    found = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        mode = 0 if path.is_symlink() else status.st_mode & 0o777
        found[str(path.relative_to(root))] = (status.st_uid, status.st_gid, mode)
    return found


def _settle(root: Path) -> int:
    users = _users(root)
    first, second = own_device(root, users), own_private(root, users)
    assert not first.refused
    assert not second.refused
    return first.changed + second.changed


def _expected(root: Path) -> dict[str, tuple[int, int, int]]:
    users = _users(root)
    keeper, accounts, updater = (users[name].uid for name in ("keeper", "accounts", "updater"))
    expected = {
        ".": (0, 0, 0o755), "slots": (0, 0, 0o755), "slots/a": (0, 0, 0o755),
        "slots/a/app": (0, 0, 0o755), "slots/a/app/main.py": (0, 0, 0o644),
        "slots/a/product.toml": (0, 0, 0o644), "slots/boot.json": (0, 0, 0o644),
        "log": (0, 0, 0o700), "log/device.log": (0, 0, 0o600), "run": (0, 0, 0o755),
        "identity.json": (0, 0, 0o600), "keystore.toml": (0, users["keeper"].gid, 0o640),
        "keeper/tokens": (keeper, keeper, 0o700), "keeper/tokens/key": (keeper, keeper, 0o600),
        "keeper/idevid.key": (keeper, keeper, 0o600),
        "accounts/accounts.json": (accounts, accounts, 0o600),
        "updater/metadata": (updater, updater, 0o700),
        "updater/metadata/1.root.json": (updater, updater, 0o600),
        "updater/metadata/root.json": (updater, updater, 0),
    }  # fmt: skip
    return expected | {name: (users[name].uid, users[name].gid, 0o700) for name in SERVING}


def test_every_file_of_an_ordinary_users_device_gets_its_owner_once(tmp_path: Path) -> None:
    root = _made_by_somebody(tmp_path / "d")
    assert _settle(root) > 0
    assert _owners(root) == _expected(root)
    assert _settle(root) == 0


def test_a_power_cut_at_any_step_leaves_nothing_that_the_next_start_does_not_finish(
    tmp_path: Path,
) -> None:
    steps = 0
    while True:
        root = _made_by_somebody(tmp_path / "d")
        done = subprocess.run(
            [sys.executable, "-B", "-c", CUT, str(root), str(steps)],
            env={"PYTHONPATH": str(SRC.parent)}, capture_output=True, text=True, timeout=150,
        )  # fmt: skip
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        for role in SERVING:  # at no moment is it another ordinary user's
            status = (root / role).stat()
            assert status.st_uid in (SOMEBODY, 0, _users(root)[role].uid)
        _settle(root)
        assert _owners(root) == _expected(root)
        shutil.rmtree(root)
        steps += 1
    assert steps > 30


def test_a_moved_device_gets_the_ids_of_its_new_place(tmp_path: Path) -> None:
    root = _made_by_somebody(tmp_path / "d")
    _settle(root)
    moved = root.rename(tmp_path / "moved")
    _settle(moved)
    assert _owners(moved) == _expected(moved)


def test_a_link_in_a_roles_directory_leads_to_no_file_outside(tmp_path: Path) -> None:
    root = _made_by_somebody(tmp_path / "d")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "app" / "link").symlink_to(outside / "secret")
    (root / "app" / "directory").symlink_to(outside)
    shutil.rmtree(root / "gateway")
    _settle(root)
    (tmp_path / "d" / "gateway").rmdir()
    (root / "gateway").symlink_to(outside)  # as only root can put it there
    own_private(root, _users(root))
    assert [path.stat().st_uid for path in (outside, outside / "secret")] == [0, 0]


def test_a_file_with_another_name_elsewhere_is_not_given_away(tmp_path: Path) -> None:
    root = _made_by_somebody(tmp_path / "d")
    secret = tmp_path / "secret"
    secret.write_text("root's own")
    os.link(secret, root / "app" / "mine")
    users = _users(root)
    own_device(root, users)
    settled = own_private(root, users)
    assert len(settled.refused) == 1
    assert "mine has another name elsewhere" in settled.refused[0]
    assert secret.stat().st_uid == 0


def test_a_role_cannot_stop_the_next_start_by_what_it_leaves_in_its_directory(
    tmp_path: Path,
) -> None:
    root = make_device(tmp_path / "d")
    own_private(root, _users(root))
    (root / "app" / "file").write_text("x")
    os.link(root / "app" / "file", root / "app" / "other-name")
    os.mkfifo(root / "app" / "pipe")
    deep = root / "app"
    for _ in range(60):
        deep = deep / "d"
        deep.mkdir()
    with running(root) as device:
        assert device.has_logged("ownership-refused", "is neither file nor directory")
        assert device.has_logged("ownership-refused", "deeper or larger")
        assert device.has_logged("running")


@pytest.mark.end_to_end
def test_a_device_made_by_an_ordinary_user_runs_when_root_starts_it(tmp_path: Path) -> None:
    root = make_device(tmp_path / "d")
    for path in (root, *root.rglob("*")):
        os.chown(path, SOMEBODY, SOMEBODY, follow_symlinks=False)
    with running(root) as device:
        assert device.has_logged("ownership", "given to root")
    with running(root) as device:
        assert not device.has_logged("ownership", "given to root", times=2)


def test_an_ordinary_user_who_starts_roots_device_is_told_whose_it_is() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        root = _made_by_somebody(Path(place) / "d")
        _settle(root)
        # In a process of that user, who cannot reach this interpreter's files any more.
        child = "import os, sys; from pathlib import Path; from limpet.errors import LimpetError"
        child += "; from limpet.device.enclosure.ownership import verify_owner"
        child += f"\nos.setresuid({SOMEBODY}, {SOMEBODY}, {SOMEBODY})"
        child += "\ntry: verify_owner(Path(sys.argv[1]))"
        child += "\nexcept LimpetError as error: print(error)"
        done = subprocess.run(
            [sys.executable, "-B", "-c", child, str(root)],
            env={"PYTHONPATH": str(SRC.parent)}, capture_output=True, text=True, timeout=150,
        )  # fmt: skip
        assert f"the device in {root} belongs to root" in done.stdout
        assert "start it as root" in done.stdout


def test_a_factory_reset_follows_no_link_that_the_updater_left(tmp_path: Path) -> None:
    root = _made_by_somebody(tmp_path / "d")
    (root / "updater" / "settings").symlink_to("../keeper")
    (root / "app" / "data").write_text("the owner's")
    (root / "app" / "link").symlink_to(root / "accounts")
    begin_erasing(root)
    assert finish_erasing(root)
    assert list((root / "app").iterdir()) == []
    assert not (root / "updater" / "settings").exists()
    assert (root / "keeper" / "idevid.key").exists()
    assert (root / "accounts" / "accounts.json").exists()


def test_new_firmware_becomes_roots_and_a_file_kept_open_by_its_writer_is_not_in_it(
    tmp_path: Path,
) -> None:
    root = _made_by_somebody(tmp_path / "d")
    _settle(root)
    staged = root / "updater" / "staging" / "b"
    (staged / "app").mkdir(parents=True)
    (staged / "app" / "main.py").write_text("print('signed')\n")
    updater = _users(root)["updater"]
    for path in (staged.parent, staged, *staged.rglob("*")):
        os.chown(path, updater.uid, updater.gid)
    digest = digest_tree(staged)
    with (staged / "app" / "main.py").open("r+b", buffering=0) as kept:
        adopt_tree(staged.parent, root / "slots" / "b", tree_sha256=digest)
        kept.write(b"import os; os.unlink('/')")
    slot = root / "slots" / "b"
    assert digest_tree(slot) == digest
    assert {path.stat().st_uid for path in (slot, *slot.rglob("*"))} == {0}
    assert (slot / "app" / "main.py").stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in (root / "slots").iterdir()) == ["a", "b", "boot.json"]
