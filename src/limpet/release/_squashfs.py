"""Looking into a squashfs by squashfs-tools, as it lies in a file: nothing is mounted or run.

Owns the calls of `unsquashfs`, what their answers mean, and how much it may write. Decides nothing
about the content; what is extracted may hold links and devices, and whoever reads on has to look
first.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.release._tools import OUTPUT_BYTES, run_tool, words_of

__all__ = ["content_end", "extract", "is_squashfs", "list_top", "read_file"]

SECONDS = 600.0
_MAGIC = b"hsqs"  # little-endian, as every squashfs 4 is
_USED = slice(40, 48)
"""Of the superblock: how many bytes the file system has (kernel, squashfs_fs.h: bytes_used)."""
_BYTES = 64 << 20
_UNPACKED_BYTES = 16 << 30
_FILE = re.compile(rb"-[-rwxsStT]{9}\s+\d+/\d+\s+(\d+)\s")


def is_squashfs(raw: Path) -> bool:
    """Whether `raw` begins as a squashfs does."""
    with raw.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def content_end(raw: Path) -> int:
    """Behind which byte of the squashfs `raw` nothing belongs to it."""
    with raw.open("rb") as file:
        return int.from_bytes(file.read(_USED.stop)[_USED], "little")


def list_top(raw: Path) -> tuple[str, ...]:
    """The names at the top of the squashfs `raw`. Raises `Rejected("malformed")`,
    `Rejected("too-large")` where they are too many to list, `Unavailable`."""
    done = _run("-max-depth", "1", "-l", str(raw))
    top, *names = done.stdout.decode("utf-8", "replace").splitlines() or [""]
    if done.returncode != 0 or not all(name.startswith(f"{top}/") for name in names):
        raise Rejected("malformed", "what the image holds cannot be listed")
    return tuple(name.removeprefix(f"{top}/") for name in names)


def read_file(raw: Path, name: str) -> bytes:
    """The content of a file of it, empty if there is none. Raises `Rejected("too-large")` above
    64 MiB, `Unavailable`."""
    try:
        done = _run("-cat", str(raw), name, max_bytes=_BYTES)
    except Rejected as error:
        message = f"{name} in the image has more than {_BYTES} bytes"
        raise Rejected("too-large", message) from error
    return done.stdout if done.returncode == 0 else b""


def extract(raw: Path, into: Path, names: Sequence[str] = ()) -> None:
    """Make the directory `into` of the squashfs `raw`; of `names` alone where some are given, as
    far as they are there.

    What is in it says first how large it is: zeros take no room in a squashfs. Raises
    `Rejected("malformed")`, `Rejected("too-large")` above 16 GiB, `Unavailable` also where the
    disk has less room.
    """
    _verify_room(_unpacked_bytes(raw, names), into.parent)
    done = _run("-no-xattrs", "-quiet", "-d", str(into), str(raw), *names)
    if done.returncode != 0 or not into.is_dir():
        raise Rejected("malformed", f"nothing could be unpacked: {words_of(done)}")


def _unpacked_bytes(raw: Path, names: Sequence[str]) -> int:
    done = _run("-lln", str(raw), *names)
    files = map(_FILE.match, done.stdout.splitlines())
    if done.returncode != 0:
        raise Rejected("malformed", f"what the image holds cannot be listed: {words_of(done)}")
    return sum(int(one[1]) for one in files if one)


def _verify_room(size: int, place: Path) -> None:
    if size > _UNPACKED_BYTES:
        message = f"what the image holds has {size} bytes, over {_UNPACKED_BYTES}"
        raise Rejected("too-large", message)
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise Unavailable(f"cannot unpack into {place}: {error.strerror}") from error
    if size > free:
        hint = "make room, or name another directory in TMPDIR"
        raise Unavailable(f"to unpack the image takes {size} bytes, {free} are free", hint=hint)


def _run(*words: str, max_bytes: int = OUTPUT_BYTES) -> subprocess.CompletedProcess[bytes]:
    return run_tool(
        ("unsquashfs", "-no-progress", *words),
        seconds=SECONDS,
        hint="Debian: apt-get install squashfs-tools",
        max_bytes=max_bytes,
    )
