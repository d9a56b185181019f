"""The operating system around a firmware tree, as a block image really has it.

Owns looking into the file system that a vendor's packer made: squashfs, by squashfs-tools. Of any
other it can say only that it was not looked into.
"""

import shutil
import subprocess
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.release.sbom._component import Component
from limpet.release.sbom._debian import OS_RELEASE, STATUS, parse_status

__all__ = ["load_system"]

SECONDS = 600.0
_MAGIC = b"hsqs"  # of squashfs, little-endian
_BYTES = 64 << 20


def load_system(raw: Path) -> tuple[Component, ...] | None:
    """The Debian packages in the file system `raw`; none if it holds no Debian system, and None if
    it cannot be looked into.

    Raises `Rejected("bad-dpkg-status")`, `Unavailable` without squashfs-tools.
    """
    with raw.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return None
    status = _cat(raw, STATUS)
    # Debian has it as a link to ../usr/lib/os-release, which is not followed.
    release = _cat(raw, OS_RELEASE) or _cat(raw, f"usr/lib/{OS_RELEASE.rpartition('/')[2]}")
    return parse_status(status, release) if status else ()


def list_top(raw: Path) -> tuple[str, ...]:
    """The names at the top of the squashfs `raw`. Raises `Rejected("malformed")`, `Unavailable`."""
    done = _run("-max-depth", "1", "-l", str(raw))
    top, *names = done.stdout.decode("utf-8", "replace").splitlines() or [""]
    if done.returncode != 0 or not all(name.startswith(f"{top}/") for name in names):
        raise Rejected("malformed", "what the image holds cannot be listed")
    return tuple(name.removeprefix(f"{top}/") for name in names)


def _cat(raw: Path, name: str) -> bytes:
    """The content of a file of it, empty if there is none."""
    done = _run("-cat", str(raw), name)
    if len(done.stdout) > _BYTES:
        raise Rejected("too-large", f"{name} in the image is of {len(done.stdout)} bytes")
    return done.stdout if done.returncode == 0 else b""


def _run(*words: str) -> subprocess.CompletedProcess[bytes]:
    if shutil.which("unsquashfs") is None:
        hint = "Debian: apt-get install squashfs-tools"
        raise Unavailable("cannot run unsquashfs", hint=hint)
    try:
        return subprocess.run(
            ("unsquashfs", "-no-progress", *words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"cannot run unsquashfs: {error}") from error
