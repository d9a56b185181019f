"""A squashfs that holds little and says much: bounds hold before what it says is in memory."""

import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.device.workshop import processes_of
from tests.needs import needs

from limpet.errors import Rejected, Unavailable
from limpet.release import _squashfs
from limpet.release._tools import run_tool

pytestmark = needs(
    "mksquashfs", "unsquashfs", package="squashfs-tools", untried="no squashfs was looked into"
)

BOUND = 1 << 20
BOMB = 64 << 20


@pytest.fixture(autouse=True)
def _small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_squashfs, "_BYTES", BOUND)


def squash(place: Path, size: int) -> Path:
    """A file of `size` zeros as a file system."""
    tree, raw = place / "tree", place / "raw.img"
    (tree / "trust").mkdir(parents=True)
    with (tree / "trust" / "root.json").open("wb") as file:
        file.truncate(size)
    words = ["mksquashfs", tree, raw, "-noappend", "-quiet", "-no-progress"]
    subprocess.run(words, check=True, capture_output=True)
    return raw


def test_a_file_up_to_the_bound_is_read_and_one_that_is_not_there_is_empty(tmp_path: Path) -> None:
    raw = squash(tmp_path, BOUND)
    assert _squashfs.read_file(raw, "trust/root.json") == bytes(BOUND)
    assert _squashfs.read_file(raw, "trust/other") == b""


@pytest.mark.parametrize("size", [BOUND + 1, BOMB], ids=["a byte above", "bomb"])
def test_a_bomb_is_refused_before_it_is_in_memory(tmp_path: Path, size: int) -> None:
    raw = squash(tmp_path, size)
    assert raw.stat().st_size < 16 << 10
    tracemalloc.start()
    try:
        with pytest.raises(Rejected, match=f"root.json in the image has more than {BOUND} bytes"):
            _squashfs.read_file(raw, "trust/root.json")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * BOUND
    assert processes_of(raw) == [], "unsquashfs has ended"


def test_a_tree_up_to_the_bound_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = squash(tmp_path, BOUND)
    monkeypatch.setattr(_squashfs, "_UNPACKED_BYTES", BOUND)
    _squashfs.extract(raw, tmp_path / "out", ("trust", "not-there"))
    assert (tmp_path / "out" / "trust" / "root.json").stat().st_size == BOUND


def test_a_bomb_is_refused_before_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_squashfs, "_UNPACKED_BYTES", BOUND)
    raw = squash(tmp_path, BOMB)
    with pytest.raises(Rejected) as refused:
        _squashfs.extract(raw, tmp_path / "out")
    assert refused.value.reason == "too-large"
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_larger_than_the_disk_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=BOMB - 1))
    raw = squash(tmp_path, BOMB)
    with pytest.raises(Unavailable, match=f"takes {BOMB} bytes, {BOMB - 1} are free"):
        _squashfs.extract(raw, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_program_that_prints_without_end_is_ended_on_either_stream(stream: str) -> None:
    script = f"import sys\nwhile True: sys.{stream}.write('x' * 4096)"
    with pytest.raises(Rejected) as refused:
        run_tool((sys.executable, "-c", script), seconds=600.0, max_bytes=BOUND)
    assert refused.value.reason == "too-large"


@pytest.mark.parametrize("closing", ["", "import os; os.close(1); os.close(2); "])
def test_a_program_that_does_not_end_is_ended(closing: str) -> None:
    script = f"{closing}import time; time.sleep(600)"
    with pytest.raises(Unavailable, match="cannot run"):
        run_tool((sys.executable, "-c", script), seconds=1.0)


def test_what_a_program_says_and_its_status_are_told_apart() -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    done = run_tool((sys.executable, "-c", script), seconds=600.0)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)
