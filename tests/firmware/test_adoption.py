"""Taking over a tree that a less trusted process wrote: it cannot choose what is moved or kept."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.nesting import nest

from limpet.errors import Rejected, Unavailable
from limpet.firmware import adoption
from limpet.firmware.adoption import adopt_tree
from limpet.firmware.tree import Entry, digest_tree, walk_tree


def make_tree(path: Path, content: str) -> str:
    path.mkdir(parents=True)
    (path / "file").write_text(content)
    return digest_tree(path)


@pytest.fixture
def device(tmp_path: Path) -> Path:
    make_tree(tmp_path / "slots" / "a", "runs")
    make_tree(tmp_path / "slots" / "b", "old")
    (tmp_path / "updater" / "staging").mkdir(parents=True)
    return tmp_path


def test_a_staged_tree_replaces_the_slot_and_leaves_the_staging_area(device: Path) -> None:
    digest = make_tree(device / "updater" / "staging" / "b", "new")
    adopt_tree(device / "updater" / "staging", device / "slots" / "b", tree_sha256=digest)
    assert (device / "slots" / "b" / "file").read_text() == "new"
    assert list((device / "updater" / "staging").iterdir()) == []
    assert sorted(entry.name for entry in (device / "slots").iterdir()) == ["a", "b"]


def test_a_tree_that_is_not_the_signed_one_is_removed_and_the_slot_stays(device: Path) -> None:
    make_tree(device / "updater" / "staging" / "b", "taken")
    with pytest.raises(Rejected) as refusal:
        adopt_tree(device / "updater" / "staging", device / "slots" / "b", tree_sha256="0" * 64)
    assert refusal.value.reason == "tampered-tree"
    assert (device / "slots" / "b" / "file").read_text() == "old"
    assert sorted(entry.name for entry in (device / "slots").iterdir()) == ["a", "b"]


def test_a_staging_area_that_is_a_link_moves_nothing(device: Path) -> None:
    staging = device / "updater" / "staging"
    staging.rmdir()
    staging.symlink_to(device / "slots")  # so that "a" would be the slot that runs
    digest = digest_tree(device / "slots" / "a")
    with pytest.raises(Unavailable):
        adopt_tree(staging, device / "slots" / "b", tree_sha256=digest)
    assert (device / "slots" / "a" / "file").read_text() == "runs"
    assert (device / "slots" / "b" / "file").read_text() == "old"


def test_a_staged_link_to_the_running_slot_is_refused_and_only_the_link_goes(device: Path) -> None:
    (device / "updater" / "staging" / "b").symlink_to(device / "slots" / "a")
    digest = digest_tree(device / "slots" / "a")
    with pytest.raises(Rejected):
        adopt_tree(device / "updater" / "staging", device / "slots" / "b", tree_sha256=digest)
    assert (device / "slots" / "a" / "file").read_text() == "runs"
    assert not os.path.lexists(device / "slots" / "b.new")


@pytest.mark.parametrize("left", ["b.new", "b.old"])
def test_what_an_earlier_cut_left_behind_is_no_obstacle(left: str, device: Path) -> None:
    make_tree(device / "slots" / left, "half")
    digest = make_tree(device / "updater" / "staging" / "b", "new")
    adopt_tree(device / "updater" / "staging", device / "slots" / "b", tree_sha256=digest)
    assert (device / "slots" / "b" / "file").read_text() == "new"
    assert sorted(entry.name for entry in (device / "slots").iterdir()) == ["a", "b"]


def test_a_staged_tree_of_any_depth_is_refused_and_the_next_one_is_taken(device: Path) -> None:
    staging = device / "updater" / "staging"
    nest(staging / "b", depth=1000)
    with pytest.raises(Rejected) as refusal:
        adopt_tree(staging, device / "slots" / "b", tree_sha256="0" * 64)
    assert refusal.value.reason == "tampered-tree"
    digest = make_tree(staging / "b", "new")
    adopt_tree(staging, device / "slots" / "b", tree_sha256=digest)
    assert sorted(entry.name for entry in (device / "slots").iterdir()) == ["a", "b"]


WRITER = 54321


def _swap(directory: int) -> bool:
    """Whether the tree's writer, who holds `directory` open, can put a link in a directory's
    place."""
    child = os.fork()
    if child == 0:
        try:
            os.setresuid(WRITER, WRITER, WRITER)
            os.rename("lib", "kept", src_dir_fd=directory, dst_dir_fd=directory)
            os.symlink("/etc", "lib", dir_fd=directory)
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def test_whoever_holds_a_directory_open_puts_no_link_into_the_tree_while_it_is_copied(
    device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root takes trees of another user")
    staged = device / "updater" / "staging" / "b"
    make_tree(staged / "app", "new")
    make_tree(staged / "app" / "lib", "new")
    digest = digest_tree(staged)
    for path in (staged, *staged.rglob("*")):
        os.chown(path, WRITER, WRITER)
    held = os.open(staged / "app", os.O_RDONLY)
    assert _swap(held), "the control: before it is handed over"
    (staged / "app" / "lib").unlink()
    (staged / "app" / "kept").rename(staged / "app" / "lib")
    swapped: list[bool] = []

    def while_it_is_walked(path: Path) -> Iterator[Entry]:
        for entry in walk_tree(path):
            yield entry
            if entry.name == "app/lib":
                swapped.append(_swap(held))

    monkeypatch.setattr(adoption, "walk_tree", while_it_is_walked)
    adopt_tree(staged.parent, device / "slots" / "b", tree_sha256=digest)
    os.close(held)
    assert swapped == [False]
    assert digest_tree(device / "slots" / "b") == digest
    assert (device / "slots" / "b").stat().st_uid == 0


def test_nothing_staged_is_said_so(device: Path) -> None:
    with pytest.raises(Unavailable, match="slot b"):
        adopt_tree(device / "updater" / "staging", device / "slots" / "b", tree_sha256="0" * 64)
    assert (device / "slots" / "b" / "file").read_text() == "old"
