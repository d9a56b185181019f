"""The app's directory before a trial: kept whole, brought back whole, whatever is cut or full."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.nesting import nest

from limpet.device.app import State, _context
from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor import _kept
from limpet.device.supervisor._kept import BULK, Kept, NotKept, settle_state
from limpet.device.supervisor._reserve import Need, Reserve
from limpet.device.supervisor._slots import SlotKeeper, begin_erasing, finish_erasing
from limpet.firmware.slots import (
    BOOT_FILE,
    SlotRecord,
    decide_start,
    factory_state,
    load_boot_state,
    record_activation,
    save_boot_state,
)

OLD, NEW, NEWER = "0" * 64, "1" * 64, "2" * 64


def make_app(root: Path) -> dict[str, bytes]:
    app = root / "app"
    (app / "history" / "deep").mkdir(parents=True)
    (app / "settings.1.json").write_bytes(b"not judged here")
    (app / "history" / "deep" / "0.jsonl").write_bytes(b"[1]\n" * 1000)
    (app / "empty").mkdir()
    (app / "alias").symlink_to("/etc/passwd")
    os.mkfifo(app / "pipe")
    (app / "secret").write_bytes(b"x")
    (app / "secret").chmod(0o600)
    return contents(app)


def contents(directory: Path) -> dict[str, bytes]:
    """Every name below `directory`, with what it holds; without what a fall-back adds."""
    found: dict[str, bytes] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_fifo() or name.split("/")[0] == _kept.LEFT_BEHIND:
            continue
        if path.is_symlink():
            found[name] = os.readlink(path).encode()
        elif path.is_file():
            found[name] = oct(path.stat().st_mode & 0o700).encode() + path.read_bytes()
        else:
            found[name] = b"/"
    return found


def wreck(root: Path) -> None:
    """What a bad firmware does to the directory on trial."""
    app = root / "app"
    (app / "history" / "deep" / "0.jsonl").unlink()
    (app / "settings.1.json").write_bytes(b"garbage")
    (app / "junk").write_bytes(b"j" * 100_000)


def test_after_a_failed_trial_the_app_finds_every_file_as_it_was(tmp_path: Path) -> None:
    before = make_app(tmp_path)
    assert settle_state(tmp_path, NEW, on_trial=True) is Kept.KEPT
    wreck(tmp_path)
    assert settle_state(tmp_path, OLD, on_trial=False) is Kept.BROUGHT_BACK
    assert contents(tmp_path / "app") == before
    assert {path.name for path in tmp_path.iterdir()} == {"app"}
    assert settle_state(tmp_path, OLD, on_trial=False) is Kept.NOTHING


def test_the_second_try_goes_on_with_what_the_owner_set_in_the_first(tmp_path: Path) -> None:
    make_app(tmp_path)
    settle_state(tmp_path, NEW, on_trial=True)
    wreck(tmp_path)
    wrecked = contents(tmp_path / "app")
    assert settle_state(tmp_path, NEW, on_trial=True) is Kept.NOTHING
    assert contents(tmp_path / "app") == wrecked


def test_another_release_after_a_fall_back_gets_a_copy_of_its_own(tmp_path: Path) -> None:
    make_app(tmp_path)
    settle_state(tmp_path, NEW, on_trial=True)
    settle_state(tmp_path, OLD, on_trial=False)
    (tmp_path / "app" / "later").write_bytes(b"by the old one")
    before = contents(tmp_path / "app")
    assert settle_state(tmp_path, NEWER, on_trial=True) is Kept.KEPT
    assert not (tmp_path / "app" / _kept.LEFT_BEHIND).exists()
    wreck(tmp_path)
    settle_state(tmp_path, OLD, on_trial=False)
    assert contents(tmp_path / "app") == before


def test_a_confirmed_release_keeps_its_state_and_the_copy_is_let_go(tmp_path: Path) -> None:
    make_app(tmp_path)
    settle_state(tmp_path, NEW, on_trial=True)
    wreck(tmp_path)
    wrecked = contents(tmp_path / "app")
    assert settle_state(tmp_path, NEW, on_trial=False) is Kept.LET_GO
    assert contents(tmp_path / "app") == wrecked
    assert {path.name for path in tmp_path.iterdir()} == {"app"}


def test_bulk_is_not_copied_and_stays_what_the_trial_made_of_it(tmp_path: Path) -> None:
    before = make_app(tmp_path)
    bulk = tmp_path / "app" / BULK
    bulk.mkdir()
    with (bulk / "clip.ts").open("wb") as file:
        file.truncate(1 << 43)  # 8 TiB, of which no byte is on the disk: no copy has room for it
    inode = bulk.stat().st_ino
    assert settle_state(tmp_path, NEW, on_trial=True) is Kept.KEPT
    assert not (tmp_path / "before" / "app" / BULK).exists()
    wreck(tmp_path)
    (bulk / "newer.ts").write_bytes(b"made on trial")
    assert settle_state(tmp_path, OLD, on_trial=False) is Kept.BROUGHT_BACK
    assert bulk.stat().st_ino == inode
    assert {path.name for path in bulk.iterdir()} == {"clip.ts", "newer.ts"}
    shutil.rmtree(bulk)
    assert contents(tmp_path / "app") == before


def test_the_apps_bulk_is_the_one_that_the_supervisor_leaves_out() -> None:
    assert _context.BULK == BULK


def test_only_the_apps_own_bulk_is_left_out(tmp_path: Path) -> None:
    deeper = tmp_path / "app" / "history" / BULK
    deeper.mkdir(parents=True)
    (deeper / "0.jsonl").write_bytes(b"[1]\n")
    before = contents(tmp_path / "app")
    settle_state(tmp_path, NEW, on_trial=True)
    shutil.rmtree(tmp_path / "app" / "history")
    settle_state(tmp_path, OLD, on_trial=False)
    assert contents(tmp_path / "app") == before


def test_a_link_in_the_place_of_bulk_is_moved_and_never_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"x")
    make_app(tmp_path)
    settle_state(tmp_path, NEW, on_trial=True)
    (tmp_path / "app" / BULK).symlink_to(outside)
    settle_state(tmp_path, OLD, on_trial=False)
    assert os.readlink(tmp_path / "app" / BULK) == str(outside)
    assert {path.name for path in outside.iterdir()} == {"secret"}


def test_bulk_that_was_begun_before_all_was_back_gives_way(tmp_path: Path) -> None:
    make_app(tmp_path)
    (tmp_path / "app" / BULK).mkdir()
    (tmp_path / "app" / BULK / "clip.ts").write_bytes(b"a long one")
    settle_state(tmp_path, NEW, on_trial=True)
    (tmp_path / "app").rename(tmp_path / "app.trial")
    (tmp_path / "before" / "app").rename(tmp_path / "app")
    (tmp_path / "app" / BULK).mkdir()
    (tmp_path / "app" / BULK / "other.ts").write_bytes(b"begun meanwhile")
    assert settle_state(tmp_path, OLD, on_trial=False) is Kept.BROUGHT_BACK
    assert {path.name for path in (tmp_path / "app" / BULK).iterdir()} == {"clip.ts"}


class Cut(BaseException):
    """The power is gone."""


CALLS = ("fsync", "rename", "replace", "unlink", "rmdir", "mkdir", "symlink", "write")


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> "Power":
    return Power(monkeypatch)


class Power:
    """Cuts at the n-th call that changes a disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        for name in CALLS:
            monkeypatch.setattr(os, name, self._wrapped(getattr(os, name)))

    def _wrapped(self, real):  # type: ignore[no-untyped-def]
        def call(*given, **named):  # type: ignore[no-untyped-def]
            if self.left == 0:
                raise Cut
            self.left -= 1
            return real(*given, **named)

        return call

    def cuts(self, work) -> Iterator[bool]:  # type: ignore[no-untyped-def]
        """Do `work` again and again, cut at each step in turn; True where it was cut."""
        for step in range(400):
            self.left = step
            try:
                work()
            except Cut:
                self.left = -1
                yield True
            else:
                self.left = -1
                yield False
                return
        raise AssertionError("it never ends")


def test_a_cut_at_any_step_of_keeping_leaves_a_way_back(tmp_path: Path, power: Power) -> None:
    before = make_app(tmp_path)
    steps = 0

    def keep() -> None:
        settle_state(tmp_path, NEW, on_trial=True)

    for cut in power.cuts(keep):
        steps += 1
        assert contents(tmp_path / "app") == before
        settle_state(tmp_path, NEW, on_trial=True)  # the next start
        wreck(tmp_path)
        settle_state(tmp_path, OLD, on_trial=False)
        assert contents(tmp_path / "app") == before, f"cut {cut} at {steps}"
    assert steps > 10


def test_a_cut_at_any_step_of_bringing_back_ends_with_the_old_state(
    tmp_path: Path, power: Power
) -> None:
    steps = 0
    make_app(tmp_path)
    (tmp_path / "app" / BULK).mkdir()
    (tmp_path / "app" / BULK / "clip.ts").write_bytes(b"a long one")
    before = contents(tmp_path / "app")

    def trial_and_return() -> None:
        settle_state(tmp_path, OLD, on_trial=False)

    settle_state(tmp_path, NEW, on_trial=True)
    wreck(tmp_path)
    for cut in power.cuts(trial_and_return):
        steps += 1
        settle_state(tmp_path, OLD, on_trial=False)  # the next start
        assert contents(tmp_path / "app") == before, f"cut {cut} at {steps}"
        assert {path.name for path in tmp_path.iterdir()} == {"app"}
        settle_state(tmp_path, NEW, on_trial=True)
        wreck(tmp_path)
    assert steps > 10


def test_a_cut_while_the_copy_is_let_go_never_brings_the_old_state_back(
    tmp_path: Path, power: Power
) -> None:
    make_app(tmp_path)

    def confirm() -> None:
        settle_state(tmp_path, NEW, on_trial=False)

    settle_state(tmp_path, NEW, on_trial=True)
    wreck(tmp_path)
    wrecked = contents(tmp_path / "app")
    for _ in power.cuts(confirm):
        settle_state(tmp_path, NEW, on_trial=False)
        assert contents(tmp_path / "app") == wrecked
        assert not (tmp_path / "before").exists()
        settle_state(tmp_path, NEW, on_trial=True)


def test_a_setting_made_on_trial_that_the_old_program_can_read_outlives_the_fall_back(
    tmp_path: Path,
) -> None:
    (tmp_path / "app").mkdir()
    state: State[int] = State(tmp_path / "app", "target", int, default=20)
    state.replace(21)
    settle_state(tmp_path, NEW, on_trial=True)
    State(tmp_path / "app", "target", int, default=20).replace(17)  # the owner, on trial
    (tmp_path / "app" / "rest.1.json").write_bytes(b"garbage of the trial")
    settle_state(tmp_path, OLD, on_trial=False)
    for _ in range(2):  # taken over once, and not again after a later change
        old: State[int] = State(tmp_path / "app", "target", int, default=20)
        assert old.value == 17
    assert old.damage == ""
    rest: State[int] = State(tmp_path / "app", "rest", int, default=1)
    assert (rest.value, rest.damage) == (1, "")
    old.replace(19)
    assert State(tmp_path / "app", "target", int, default=20).value == 19


def test_what_the_trial_left_behind_is_a_bounded_number_of_small_files(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    settle_state(tmp_path, NEW, on_trial=True)
    app = tmp_path / "app"
    for number in range(100):
        (app / f"s{number}.1.json").write_bytes(b"{}")
    (app / "large.1.json").write_bytes(bytes(_kept.LEFT_BYTES + 1))
    (app / "link.1.json").symlink_to("/etc/passwd")
    (app / "notes.txt").write_bytes(b"x")
    settle_state(tmp_path, OLD, on_trial=False)
    left = {path.name for path in (app / _kept.LEFT_BEHIND).iterdir()}
    assert len(left) == _kept.MOST_LEFT
    assert not left & {"large.1.json", "link.1.json", "notes.txt"}
    assert {path.name for path in app.iterdir()} == {_kept.LEFT_BEHIND}


def test_a_factory_reset_erases_the_copies_too(tmp_path: Path) -> None:
    make_app(tmp_path)
    settle_state(tmp_path, NEW, on_trial=True)
    (tmp_path / "app").rename(tmp_path / "app.trial")  # cut on the way back
    begin_erasing(tmp_path)
    assert finish_erasing(tmp_path)
    assert settle_state(tmp_path, OLD, on_trial=False) in (Kept.NOTHING, Kept.BROUGHT_BACK)
    assert not (tmp_path / "before").exists()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_an_app_that_nests_directories_without_end_does_not_stop_a_factory_reset(
    tmp_path: Path,
) -> None:
    make_app(tmp_path)
    nest(tmp_path / "app" / "nested", depth=1000)
    begin_erasing(tmp_path)
    assert finish_erasing(tmp_path)
    assert list((tmp_path / "app").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small file system")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8M,nr_inodes=2000", "limpet-test", str(place)]
    subprocess.run(mount, check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


def on_trial(root: Path) -> SlotKeeper:
    (root / "slots").mkdir(exist_ok=True)
    record = SlotRecord(
        version="1.0.0", manifest_sha256=OLD, tree_sha256="ab" * 32, security_counter=1
    )
    new = SlotRecord(
        version="1.1.0", manifest_sha256=NEW, tree_sha256="cd" * 32, security_counter=1
    )
    path = root / "slots" / BOOT_FILE
    save_boot_state(path, record_activation(factory_state(record), "b", new))
    return SlotKeeper(Start(role=Role.SUPERVISOR, root=root, slot="b"))


def test_without_room_for_a_way_back_the_trial_goes_on_and_says_so(small_disk: Path) -> None:
    """An app that fills the disk would else keep what replaces it from ever being tried."""
    keeper = on_trial(small_disk)
    (small_disk / "app").mkdir()
    (small_disk / "app" / "large").write_bytes(bytes(5 << 20))
    before = contents(small_disk / "app")
    assert keeper.settle_state() is Kept.NOT_KEPT
    assert "no space" in keeper.read().no_way_back
    assert contents(small_disk / "app") == before
    assert not (small_disk / "before").exists()
    assert keeper.is_on_trial()
    keeper.reject("unhealthy: app: no reason")
    failure = load_boot_state(small_disk / "slots" / BOOT_FILE).failure
    assert failure is not None
    assert "the app's state is what the trial left" in failure.reason


def test_the_room_for_updates_is_taken_for_the_copy_of_a_trial(small_disk: Path) -> None:
    keeper = on_trial(small_disk)
    before = make_app(small_disk)
    Reserve(small_disk).keep(Need(bytes=7 << 20, names=10), spare=False)
    assert os.statvfs(small_disk).f_bavail * 4096 < 2 << 20
    assert keeper.settle_state() is Kept.KEPT
    assert contents(small_disk / "before" / "app") == before


def _too_many(app: Path) -> None:
    for number in range(_kept.MAX_ENTRIES + 1):
        (app / str(number)).touch()


def _too_deep(app: Path) -> None:
    nest(app / "nested", depth=_kept.MAX_DEPTH + 1)


def _too_long(app: Path) -> None:
    """Within the depth, but no path leads there (PATH_MAX)."""
    here = os.open(app, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=here)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


@pytest.mark.parametrize("how", [_too_many, _too_deep, _too_long])
def test_an_app_that_makes_itself_too_much_to_copy_does_not_prevent_the_trial(
    tmp_path: Path, how: Callable[[Path], None]
) -> None:
    keeper = on_trial(tmp_path)
    (tmp_path / "app").mkdir()
    how(tmp_path / "app")
    assert keeper.settle_state() is Kept.NOT_KEPT
    assert keeper.no_way_back
    assert keeper.is_on_trial()


def test_names_are_counted_to_the_bound_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app can make millions; a list of them would cost the supervisor its memory."""
    (tmp_path / "app").mkdir()
    for number in range(40):
        (tmp_path / "app" / str(number)).touch()
    monkeypatch.setattr(_kept, "MAX_ENTRIES", 10)
    monkeypatch.setattr(os, "listdir", lambda path: pytest.fail("a whole directory was listed"))
    monkeypatch.setattr(os, "walk", lambda path: pytest.fail("a whole directory was listed"))
    with pytest.raises(NotKept, match="more than 10 names"):
        settle_state(tmp_path, NEW, on_trial=True)


def _take_names(place: Path) -> None:
    for number in range(1 << 20):
        (place / f"junk-{number}").touch()


def test_a_trial_that_filled_the_disk_is_undone_on_the_full_disk(small_disk: Path) -> None:
    """What the owner set on trial comes along all the same."""
    keeper = on_trial(small_disk)
    before = make_app(small_disk)
    keeper.settle_state()
    (small_disk / "app" / "settings.2.json").write_bytes(b"by the owner")
    with pytest.raises(OSError, match="No space"):
        (small_disk / "app" / "junk").write_bytes(bytes(16 << 20))
    with pytest.raises(OSError, match="No space"):  # nor one more name
        _take_names(small_disk / "app")
    assert settle_state(small_disk, OLD, on_trial=False) is Kept.BROUGHT_BACK
    assert contents(small_disk / "app") == before
    left = small_disk / "app" / _kept.LEFT_BEHIND / "settings.2.json"
    assert left.read_bytes() == b"by the owner"
    assert not (small_disk / "app.trial").exists()


def test_an_app_on_trial_that_fills_the_disk_does_not_keep_boot_from_falling_back(
    small_disk: Path,
) -> None:
    keeper = on_trial(small_disk)
    before = make_app(small_disk)
    keeper.settle_state()
    with pytest.raises(OSError, match="No space"):
        (small_disk / "app" / "junk").write_bytes(bytes(16 << 20))
    with pytest.raises(OSError, match="No space"):  # positive control: not one more byte
        (small_disk / "more").write_bytes(bytes(4096))
    keeper.reject("unhealthy: app: no space left")
    assert decide_start(load_boot_state(small_disk / "slots" / BOOT_FILE)).slot == "a"
    old = SlotKeeper(Start(role=Role.SUPERVISOR, root=small_disk, slot="a"))
    assert old.settle_state() is Kept.BROUGHT_BACK
    assert contents(small_disk / "app") == before
