"""What the harness remembers of a tree is forgotten at any change of it."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cuts.digests import EVERY, Digests, remembered

from limpet.device.boot import _choice
from limpet.firmware.tree import digest_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "app").mkdir(parents=True)
    (made / "app" / "code.py").write_bytes(b"one = 1\n")
    (made / "list").write_bytes(b"names")
    return made


def flipped(path: Path) -> None:
    """One bit, with the size and the time of last change as they were."""
    file, at = path / "app" / "code.py", (path / "app" / "code.py").stat()
    with file.open("r+b") as out:
        out.write(b"0")
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))


def replaced(path: Path) -> None:
    shutil.copy2(path / "list", path / "new")
    (path / "new").write_bytes(b"NAMES")
    (path / "new").rename(path / "list")


CHANGES: dict[str, Callable[[Path], object]] = {
    "a bit is flipped and the time set back": flipped,
    "a file is replaced by one of its size": replaced,
    "a file may be executed": lambda path: (path / "list").chmod(0o755),
    "a file is added": lambda path: (path / "app" / "more.py").write_bytes(b""),
    "a file is gone": lambda path: (path / "list").unlink(),
    "a directory is added": lambda path: (path / "empty").mkdir(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_tree_is_hashed_again(tree: Path, change: str) -> None:
    digests = Digests()
    before = digests.digest(tree)
    assert [digests.digest(tree), digests.digest(tree)] == [before, before]
    assert (digests.hashed, digests.recalled) == (1, 2)
    time.sleep(0.02)  # longer than a tick of the kernel's clock for files
    CHANGES[change](tree)
    assert digests.digest(tree) == digest_tree(tree) != before
    assert (digests.hashed, digests.recalled) == (2, 2)


def test_a_tree_that_was_moved_is_known(tree: Path) -> None:
    digests = Digests()
    before = digests.digest(tree)
    assert digests.digest(tree.rename(tree.with_name("elsewhere"))) == before
    assert digests.recalled == 1


def test_a_memory_that_is_wrong_is_noticed(tree: Path) -> None:
    answers = ["right", "another"]
    digests = Digests(lambda path: answers.pop(0))
    for _ in range(EVERY):
        assert digests.digest(tree) == "right"
    with pytest.raises(AssertionError, match="kept its times"):
        digests.digest(tree)


def test_boot_asks_the_memory_only_within() -> None:
    with remembered() as digests:
        assert vars(_choice)["digest_tree"] == digests.digest
    assert vars(_choice)["digest_tree"] is digest_tree
