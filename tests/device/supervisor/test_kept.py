"""The app's directory before a trial: kept whole, brought back whole, whatever is cut or full."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.nesting import nest

from limpet.device.app import State, _context
from limpet.device.supervisor import _kept
from limpet.device.supervisor._kept import BULK, Kept, settle_state
from limpet.device.supervisor._slots import begin_erasing, finish_erasing

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
