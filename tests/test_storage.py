"""A file is replaced wholly or not at all, whatever goes wrong in between."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from tests.nesting import nest

from limpet.errors import Rejected, Unavailable
from limpet.storage import (
    empty_directory,
    make_directory,
    read_bounded,
    remove_durably,
    remove_tree,
    write_atomic,
)


def test_a_write_replaces_the_content_and_sets_the_mode(tmp_path: Path) -> None:
    target = tmp_path / "record.json"
    write_atomic(target, b"old", mode=0o644)
    write_atomic(target, b"new", mode=0o600)
    assert target.read_bytes() == b"new"
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("call", ["fsync", "fchmod", "replace"])
def test_a_failure_at_any_step_keeps_the_old_content_and_leaves_no_litter(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "record.json"
    write_atomic(target, b"old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path if call == "replace" else os, call, full)
    before = os.umask(0o077)  # it takes some of the mode: the file has to be given it
    try:
        with pytest.raises(Unavailable, match="no space left"):
            write_atomic(target, b"new", mode=0o644)
    finally:
        os.umask(before)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_content_is_synced_before_it_gets_its_name_and_the_directory_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(descriptor: int) -> None:
        seen.append("directory" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")
        fsync(descriptor)

    def record_replace(self: Path, target: Path) -> Path:
        seen.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    write_atomic(tmp_path / "record.json", b"new")
    assert seen == ["file", "rename", "directory"]


def test_a_new_directory_is_durable_itself_with_every_parent_that_was_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written into it would go with its name; `./run cuts` found it so."""
    synced: list[Path] = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink())
    )
    make_directory(tmp_path / "own" / "settings")
    assert synced == [tmp_path, tmp_path / "own"]
    make_directory(tmp_path / "own" / "settings")
    assert len(synced) == 2


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        write_atomic(tmp_path / "nowhere" / "record.json", b"")


def test_a_file_over_the_bound_is_refused_without_reading_it_whole(tmp_path: Path) -> None:
    target = tmp_path / "large"
    target.write_bytes(b"x" * 11)
    assert len(read_bounded(target, max_bytes=11)) == 11
    with pytest.raises(Rejected) as refusal:
        read_bounded(target, max_bytes=10)
    assert refusal.value.reason == "too-large"


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove_durably(tmp_path / "absent")


def test_a_tree_that_is_deeper_than_any_stack_goes_whole(tmp_path: Path) -> None:
    place = tmp_path / "tree"
    nest(place, depth=1000)
    (place / "beside").mkdir()
    (place / "beside" / "file").write_bytes(b"x")
    remove_tree(place)
    assert list(tmp_path.iterdir()) == []


def test_a_removal_follows_no_link_and_takes_what_stands_in_a_trees_place(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "inner").mkdir(parents=True)
    (kept / "inner" / "file").write_bytes(b"x")
    place = tmp_path / "tree"
    (place / "inner").mkdir(parents=True)
    (place / "inner" / "link").symlink_to(kept)
    os.mkfifo(place / "pipe")
    remove_tree(place)
    place.symlink_to(kept)
    remove_tree(place)
    place.write_bytes(b"a file")
    remove_tree(place)
    remove_tree(place)  # nothing there
    assert (kept / "inner" / "file").read_bytes() == b"x"
    assert list(tmp_path.iterdir()) == [kept]


def test_a_directory_is_emptied_however_many_names_it_has_and_stays(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"{number}").touch()
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        empty_directory(directory)
    finally:
        os.close(directory)
    assert list(tmp_path.iterdir()) == []


def test_root_takes_a_directory_over_before_it_empties_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root takes over what another user owns")
    place = tmp_path / "tree"
    (place / "inner" / "deeper").mkdir(parents=True)
    for one in (place, place / "inner", place / "inner" / "deeper"):
        os.chown(one, 54321, 54321)
    owners: list[int] = []
    unlink = os.unlink

    def record(name: str, *, dir_fd: int) -> None:
        owners.append(os.fstat(dir_fd).st_uid)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", record)
    remove_tree(place)
    assert owners == [0, 0]  # who else had it open may put nothing into it any more
    assert not place.exists()
