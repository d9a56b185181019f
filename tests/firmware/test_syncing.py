"""Files that are synced at the same time: each one is, before anything counts on it."""

import errno
import os
import stat
from pathlib import Path

import pytest
from tests.firmware.images import assert_old, install

from limpet.errors import Unavailable
from limpet.firmware import installation
from limpet.firmware.adoption import adopt_tree
from limpet.firmware.syncing import sync_together
from limpet.firmware.tree import digest_tree
from limpet.storage import write_atomic
from limpet.wire.release import Image

NOBODY = 65534


Found = dict[int, int]
"""Sizes by inode; 0 for a directory that holds something (an empty one's name is its parent's)."""


def _found(tree: Path) -> Found:
    found = (tree, *tree.rglob("*"))
    states = [path.stat() for path in found if not path.is_dir() or any(path.iterdir())]
    return {one.st_ino: 0 if stat.S_ISDIR(one.st_mode) else one.st_size for one in states}


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Found:
    """What was synced so far, and how large it was then: files only grow here."""
    seen: Found = {}
    real = os.fsync

    def note(descriptor: int) -> None:
        real(descriptor)
        one = os.fstat(descriptor)
        seen[one.st_ino] = 0 if stat.S_ISDIR(one.st_mode) else one.st_size

    monkeypatch.setattr(os, "fsync", note)
    return seen


@pytest.mark.skipif(os.geteuid() != 0, reason="only another user's tree is copied")
def test_every_file_and_directory_of_an_adopted_tree_was_synced(
    built: tuple[Path, Path, Image], tmp_path: Path, synced: Found
) -> None:
    staged, slot = tmp_path / "staging" / "b", tmp_path / "slots" / "b"
    slot.parent.mkdir()
    staged.parent.mkdir()
    built[0].rename(staged)
    for path in (staged, *staged.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    adopt_tree(staged.parent, slot, tree_sha256=digest_tree(staged))
    assert len(_found(slot)) > 3
    assert _found(slot).items() <= synced.items()


def test_a_journal_counts_on_nothing_that_was_not_synced(
    built: tuple[Path, Path, Image],
    slots: Path,
    synced: Found,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = []

    def keep(path: Path, data: bytes) -> None:
        missing.append(_found(slots / "b.part").items() - synced.items())
        write_atomic(path, data)

    monkeypatch.setattr(installation, "write_atomic", keep)
    install(slots, built[2], built[1])
    assert missing == [set()] * len(built[2].groups)


def test_a_file_that_cannot_be_synced_leaves_the_slot_as_it_was(
    built: tuple[Path, Path, Image], slots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.fsync, []

    def broken(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 3:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(Unavailable):
        install(slots, built[2], built[1])
    assert_old(slots)


def test_the_error_of_any_file_is_told_and_no_link_is_followed(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}" for number in range(9)]
    for file in files:
        file.write_text("x")
    sync_together(files)
    (tmp_path / "8").unlink()
    (tmp_path / "8").symlink_to(tmp_path / "0")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        sync_together(files)
