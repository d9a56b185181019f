"""The way back from a trial where an app leaves no room for it, or is too much to copy."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.device.small_disk import small_disk_at
from tests.device.supervisor.test_kept import NEW, OLD, contents, make_app
from tests.nesting import nest

from limpet.device.link.permits import Role
from limpet.device.link.start import Start
from limpet.device.supervisor import _kept
from limpet.device.supervisor._kept import Kept, NotKept, settle_state
from limpet.device.supervisor._reserve import Need, Reserve
from limpet.device.supervisor._slots import SlotKeeper
from limpet.firmware.slots import (
    BOOT_FILE,
    SlotRecord,
    decide_start,
    factory_state,
    load_boot_state,
    record_activation,
    save_boot_state,
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk_at(tmp_path / "disk", size=8 << 20, names=2000) as place:
        yield place


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
    tmp_path: Path, how: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_kept, "MAX_ENTRIES", 100)
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
