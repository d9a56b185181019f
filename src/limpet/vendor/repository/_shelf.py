"""The repository's files: names, durable writes, bounded reads.

Owns the layout of `public/repository`, which any static server can serve: a
role's file name is its decoded path, and targets carry their hash as a prefix
(TUF 1.0.33, 6.2: consistent snapshots). Never signs.
"""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.storage import (
    advice_for,
    make_directory,
    read_bounded,
    sync_directory,
    write_atomic,
)

from ._metadata import METADATA_BYTES

__all__ = ["Shelf"]

CHUNK_BYTES = 1 << 20
PUBLIC_FILE = 0o644
PUBLIC_DIRECTORY = 0o755


def _no_hook(name: str) -> None:
    """Nobody watches."""


class Shelf:
    """The files below `root`. `after_write` is told each name once it is durable."""

    def __init__(self, root: Path, *, after_write: Callable[[str], None] = _no_hook) -> None:
        self.root = root
        self._after_write = after_write

    def metadata_name(self, role: str, version: int | None) -> str:
        """`metadata/3.releases/thermostat.json`; the timestamp has no version."""
        prefix = "" if version is None else f"{version}."
        return f"metadata/{prefix}{role}.json"

    def target_name(self, path: str, sha256: str) -> str:
        """`targets/rollout/thermostat/<sha256>.plan.json`."""
        folder, _, name = path.rpartition("/")
        return f"targets/{folder}/{sha256}.{name}" if folder else f"targets/{sha256}.{name}"

    def has(self, name: str) -> bool:
        """Whether the file `name` is there."""
        return (self.root / name).is_file()

    def read(self, name: str, *, max_bytes: int = METADATA_BYTES) -> bytes:
        """The file `name`; `Unavailable` if it cannot be read, `Rejected` if it is too large."""
        return read_bounded(self.root / name, max_bytes=max_bytes)

    def write(self, name: str, data: bytes) -> None:
        """Write the file `name` durably, wholly or not at all."""
        path = self.root / name
        self._make_parents(path)
        write_atomic(path, data, mode=PUBLIC_FILE)
        self._after_write(name)

    def place(self, name: str, source: Path, *, sha256: str, length: int) -> None:
        """Copy `source` to `name` durably, if it has this hash and length; else `Rejected`."""
        path = self.root / name
        self._make_parents(path)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            found = _copy(source, temporary, limit=length)
            if found != (sha256, length):
                raise Rejected("tampered-image", f"{source} is not what its manifest names")
            temporary.replace(path)
            sync_directory(path.parent)
        except OSError as error:
            reason = (error.strerror or "failed").lower()
            message = f"cannot copy {source} to {path}: {reason}"
            raise Unavailable(message, hint=advice_for(error)) from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        self._after_write(name)

    def versions(self, role: str) -> dict[int, datetime]:
        """Versions of a role's metadata that lie here, lowest first, with when each was written."""
        found = {}
        for path in (self.root / "metadata").glob(f"*.{role}.json"):
            number = str(path.relative_to(self.root / "metadata")).partition(".")[0]
            if number.isdecimal():
                found[int(number)] = _written(path)
        return dict(sorted(found.items()))

    def target_files(self, path: str) -> dict[str, datetime]:
        """By hash, the files that ever were the target `path` and lie here, with when written."""
        name = self.target_name(path, "*")
        return {
            file.name.partition(".")[0]: _written(file)
            for file in self.root.glob(name)
            if not file.name.startswith(".")
        }

    def remove(self, name: str) -> None:
        """Remove the file `name`, and its directory if that is empty then. After a power cut it may
        be there again."""
        path = self.root / name
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            reason = (error.strerror or "failed").lower()
            raise Unavailable(f"cannot remove {path}: {reason}", hint=advice_for(error)) from error
        with contextlib.suppress(OSError):
            path.parent.rmdir()

    def latest_root(self) -> int:
        """The highest version of root: its files form a chain, so the last one rules."""
        version = 1
        while self.has(self.metadata_name("root", version + 1)):
            version += 1
        return version

    def _make_parents(self, path: Path) -> None:
        missing = [parent for parent in path.parents if not parent.exists()]
        for parent in reversed(missing):
            make_directory(parent, mode=PUBLIC_DIRECTORY)
            sync_directory(parent.parent)


def _written(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _copy(source: Path, destination: Path, *, limit: int) -> tuple[str, int]:
    """Copy at most one byte more than `limit`; the copy's SHA-256 and length, once durable."""
    digest, length = hashlib.sha256(), 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with source.open("rb") as reader, os.fdopen(os.open(destination, flags, 0o600), "wb") as writer:
        os.fchmod(writer.fileno(), PUBLIC_FILE)
        while length <= limit and (chunk := reader.read(min(CHUNK_BYTES, limit + 1 - length))):
            digest.update(chunk)
            writer.write(chunk)
            length += len(chunk)
        writer.flush()
        os.fsync(writer.fileno())
    return digest.hexdigest(), length
