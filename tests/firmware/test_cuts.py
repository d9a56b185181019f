"""An installation that is cut: a broken line, a power cut, a damaged journal, a full disk."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.firmware.images import assert_old, install

from limpet.errors import Rejected, Unavailable
from limpet.firmware import installation
from limpet.firmware.image import range_reader
from limpet.firmware.installation import install_image
from limpet.firmware.tree import digest_tree
from limpet.wire.release import Image


@pytest.mark.parametrize("cut_at", range(3))
def test_a_broken_line_costs_one_group_at_most(
    built: tuple[Path, Path, Image], slots: Path, cut_at: int
) -> None:
    _, file, image = built
    whole = range_reader(file)
    offsets: list[int] = []

    def read(offset: int, length: int) -> bytes:
        offsets.append(offset)
        if len(offsets) == cut_at + 1:
            raise Unavailable("the line broke")
        return whole(offset, length)

    journal = slots / "journal"
    with pytest.raises(Unavailable):
        install_image(image, read, slots / "b", journal=journal)
    assert_old(slots)
    install_image(image, read, slots / "b", journal=journal)
    assert len(offsets) == 4
    assert digest_tree(slots / "b") == image.tree_sha256


def test_a_bad_peer_does_not_cost_what_was_written(
    built: tuple[Path, Path, Image], slots: Path
) -> None:
    _, file, image = built
    whole, asked = range_reader(file), 0

    def read(offset: int, length: int) -> bytes:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Rejected("untrusted-server", "somebody else answers")
        return whole(offset, length)

    with pytest.raises(Rejected):
        install_image(image, read, slots / "b", journal=slots / "journal")
    install_image(image, read, slots / "b", journal=slots / "journal")
    assert asked == 4


class PowerCut(BaseException):
    """Nothing of the program runs after it."""


CUT_POINTS = ("fsync", "rename", "replace", "mkdir", "unlink", "write")


@pytest.mark.parametrize("step", range(48))
def test_a_cut_at_any_step_leaves_the_old_slot_or_the_new_one(
    built: tuple[Path, Path, Image], slots: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cut comes before the n-th change of the file system; the next try must succeed."""
    _, file, image = built
    count = 0

    def guard(name: str) -> None:
        nonlocal count
        if count == step:
            raise PowerCut(name)
        count += 1

    for name in CUT_POINTS:
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _n=name, _r=real, **k: (guard(_n), _r(*a, **k))[1])
    for name in ("rename", "replace"):
        method = getattr(Path, name)
        monkeypatch.setattr(
            Path, name, lambda *a, _n=name, _r=method, **k: (guard(_n), _r(*a, **k))[1]
        )
    was_cut = False
    try:
        install(slots, image, file)
    except PowerCut:
        was_cut = True
    monkeypatch.undo()
    assert was_cut or count <= step, "every step of the installation was reached"
    if (slots / "b").exists() and (slots / "b" / "old").exists():
        assert_old(slots)
    elif (slots / "b").exists():
        assert digest_tree(slots / "b") == image.tree_sha256
    else:  # between the two renames of the swap: the other slot runs, this one is made again
        assert digest_tree(slots / "b.part") == image.tree_sha256
    assert install(slots, image, file) == image.tree_sha256
    assert digest_tree(slots / "b") == image.tree_sha256


def _as_it_was(part: Path) -> None:
    """The control."""


def _file_gone(part: Path) -> None:
    """A cut can keep the journal and lose a directory entry."""
    (part / "app" / "deep" / "data.bin").unlink()


def _directory_gone(part: Path) -> None:
    shutil.rmtree(part / "app" / "deep")


def _file_for_a_directory(part: Path) -> None:
    _directory_gone(part)
    (part / "app" / "deep").write_bytes(b"")


def _directory_for_a_file(part: Path) -> None:
    (part / "app" / "deep" / "data.bin").unlink()
    (part / "app" / "deep" / "data.bin").mkdir()


def _link_for_a_file(part: Path) -> None:
    (part / "app" / "deep" / "data.bin").rename(part.parent / "elsewhere")
    (part / "app" / "deep" / "data.bin").symlink_to(part.parent / "elsewhere")


def _pipe_for_a_file(part: Path) -> None:
    (part / "app" / "deep" / "data.bin").unlink()
    os.mkfifo(part / "app" / "deep" / "data.bin")


def _shorter(part: Path) -> None:
    os.truncate(part / "app" / "deep" / "data.bin", 10)


def _link_for_the_tree(part: Path) -> None:
    part.rename(part.parent / "moved")
    part.symlink_to(part.parent / "moved")


def _other_bytes(part: Path) -> None:
    file = part / "app" / "deep" / "data.bin"
    file.write_bytes(bytes(file.stat().st_size))


@pytest.mark.parametrize(
    ("damage", "asked"),
    [
        (_as_it_was, 1),
        (_file_gone, 3),
        (_directory_gone, 3),
        (_file_for_a_directory, 3),
        (_directory_for_a_file, 3),
        (_link_for_a_file, 3),
        (_pipe_for_a_file, 3),
        (_shorter, 3),
        (_link_for_the_tree, 3),
        (_other_bytes, 4),  # found by the digest of the whole
    ],
)
def test_a_partial_tree_that_is_not_what_the_journal_says_is_begun_anew_at_once(
    built: tuple[Path, Path, Image], slots: Path, damage: Callable[[Path], None], asked: int
) -> None:
    """The same error for ever would be the end of updates."""
    _, file, image = built
    whole, calls = range_reader(file), 0

    def read(offset: int, length: int) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Unavailable("cut")
        return whole(offset, length)

    with pytest.raises(Unavailable):
        install_image(image, read, slots / "b", journal=slots / "journal")
    damage(slots / "b.part")
    install_image(image, read, slots / "b", journal=slots / "journal")
    assert calls == 3 + asked
    assert not (slots / "b").is_symlink()
    assert digest_tree(slots / "b") == image.tree_sha256


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff" * 40, b'{"groups": 99}'])
def test_a_damaged_journal_is_a_fresh_start(
    built: tuple[Path, Path, Image], slots: Path, junk: bytes
) -> None:
    _, file, image = built
    (slots / "journal").write_bytes(junk)
    (slots / "b.part").mkdir()
    (slots / "b.part" / "planted").write_text("x")
    install(slots, image, file)
    assert digest_tree(slots / "b") == image.tree_sha256


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    built: tuple[Path, Path, Image], slots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, file, image = built
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(installation.os, "write", full)
    with pytest.raises(Unavailable) as failed:
        install(slots, image, file)
    monkeypatch.undo()
    assert "no space left" in failed.value.message
    assert_old(slots)
    assert not (slots / "b.part").exists()


def test_too_little_space_is_noticed_before_the_first_byte(
    built: tuple[Path, Path, Image], slots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, file, image = built
    real = os.statvfs(slots)
    small = os.statvfs_result((*real[:3], 10, 10, *real[5:]))
    monkeypatch.setattr(installation.os, "statvfs", lambda path: small)
    with pytest.raises(Unavailable):
        install(slots, image, file)
    assert_old(slots)
