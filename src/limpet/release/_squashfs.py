"""Looking into a squashfs by squashfs-tools, as it lies in a file: nothing is mounted or run.

Owns the calls of `unsquashfs` and what their answers mean. Decides nothing about the content; what
is extracted may hold links and devices, and whoever reads on has to look first.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from limpet.errors import Rejected
from limpet.release._tools import OUTPUT_BYTES, run_tool, words_of

__all__ = ["content_end", "extract", "is_squashfs", "list_top", "read_file"]

SECONDS = 600.0
_MAGIC = b"hsqs"  # little-endian, as every squashfs 4 is
_USED = slice(40, 48)
"""Of the superblock: how many bytes the file system has (kernel, squashfs_fs.h: bytes_used)."""
_BYTES = 64 << 20


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
    far as they are there. Raises `Rejected("malformed")`, `Unavailable`."""
    done = _run("-no-xattrs", "-quiet", "-d", str(into), str(raw), *names)
    if done.returncode != 0 or not into.is_dir():
        raise Rejected("malformed", f"nothing could be unpacked: {words_of(done)}")


def _run(*words: str, max_bytes: int = OUTPUT_BYTES) -> subprocess.CompletedProcess[bytes]:
    return run_tool(
        ("unsquashfs", "-no-progress", *words),
        seconds=SECONDS,
        hint="Debian: apt-get install squashfs-tools",
        max_bytes=max_bytes,
    )
