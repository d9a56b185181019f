"""A dump of advisories on file: a directory of JSON, a ZIP of them, or a mirror of both.

Owns reading it within bounds. An entry that cannot be read is told apart from one that was, and
never stops the others; a container that is damaged stops all. Follows no symbolic link, writes
nothing.

Forms: `all.zip` as OSV gives one for each ecosystem; a directory of `*.json`; a directory with a
directory for each ecosystem, which has either (the layout of OSV's bucket).
"""

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.storage import advice_for

__all__ = ["MAX_ENTRY_BYTES", "Bounds", "Dump", "Entry", "find_dumps"]

MAX_ENTRIES = 1_000_000
MAX_ENTRY_BYTES = 16 * 1024 * 1024  # the largest known record has 4 MiB
MAX_TOTAL_BYTES = 16 * 1024**3
MAX_FETCHED_BYTES = 4 * 1024**3
ALL_ZIP = "all.zip"
_SUFFIX = ".json"
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much one import reads at most; what is over it refuses the whole."""

    entries: int = MAX_ENTRIES
    entry_bytes: int = MAX_ENTRY_BYTES
    total_bytes: int = MAX_TOTAL_BYTES  # unpacked, over all; the importer counts
    fetched_bytes: int = MAX_FETCHED_BYTES  # of a ZIP from a server, packed


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record of a dump. `read` gives its bytes or raises `Rejected`.

    `seal` is what a container says of the content without reading it (CRC-32 and size), None
    where nothing does.
    """

    name: str
    seal: str | None
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """Entries that belong together; `ecosystem` is what its directory is called, or empty."""

    ecosystem: str
    entries: Callable[[], Iterator[Entry]] = field(repr=False)


def find_dumps(source: Path, bounds: Bounds) -> Sequence[Dump]:
    """The dumps at `source`.

    Raises `Unavailable` if there is nothing that can be read, `Rejected` for what is no dump.
    """
    if source.is_file():
        return [Dump(ecosystem="", entries=lambda: _read_zip(source, bounds))]
    if not source.is_dir():
        hint = "give a directory of OSV's JSON files, or a ZIP of them"
        raise Unavailable(f"{source} is neither a directory nor a file", hint=hint)
    dumps = []
    if _has_json(source):
        dumps.append(Dump(ecosystem="", entries=lambda: _read_directory(source, bounds)))
    elif (source / ALL_ZIP).is_file():
        dumps.append(Dump(ecosystem="", entries=lambda: _read_zip(source / ALL_ZIP, bounds)))
    for inner in sorted(path for path in source.iterdir() if path.is_dir()):
        archive = inner / ALL_ZIP
        if archive.is_file():
            dumps.append(Dump(ecosystem=inner.name, entries=_zip_of(archive, bounds)))
        elif _has_json(inner):
            dumps.append(Dump(ecosystem=inner.name, entries=_directory_of(inner, bounds)))
    if not dumps:
        hint = f"give JSON: OSV publishes each ecosystem so, in one {ALL_ZIP}"
        raise Rejected("empty", f"{source} holds no {_SUFFIX} file and no {ALL_ZIP}", hint=hint)
    return dumps


def _zip_of(path: Path, bounds: Bounds) -> Callable[[], Iterator[Entry]]:
    return lambda: _read_zip(path, bounds)


def _directory_of(path: Path, bounds: Bounds) -> Callable[[], Iterator[Entry]]:
    return lambda: _read_directory(path, bounds)


def _has_json(path: Path) -> bool:
    with os.scandir(path) as entries:
        return any(entry.name.endswith(_SUFFIX) for entry in entries)


def _read_directory(path: Path, bounds: Bounds) -> Iterator[Entry]:
    with os.scandir(path) as found:
        names = sorted(entry.name for entry in found if entry.name.endswith(_SUFFIX))
    _require_count(len(names), path, bounds)
    for name in names:
        yield Entry(name=name, seal=None, read=_reading(path / name, bounds))


def _reading(path: Path, bounds: Bounds) -> Callable[[], bytes]:
    return lambda: _read(path, bounds)


def _read(path: Path, bounds: Bounds) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(bounds.entry_bytes + 1)
    except OSError as error:
        raise Rejected("unreadable", f"cannot be read: {error.strerror}") from error
    return _require_size(data, bounds)


def _read_zip(path: Path, bounds: Bounds) -> Iterator[Entry]:
    """Raises `Rejected` if the container itself is damaged, `Unavailable` if it is not readable."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = [info for info in archive.infolist() if info.filename.endswith(_SUFFIX)]
            _require_count(len(infos), path, bounds)
            for info in infos:
                yield Entry(
                    name=info.filename.rpartition("/")[2],
                    seal=f"{info.CRC:08x}-{info.file_size}",
                    read=_unpacking(archive, info, bounds),
                )
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as error:
        raise Rejected(
            "damaged", f"{path} is no whole ZIP: {error}", hint="get the dump again"
        ) from error
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}"
        raise Unavailable(message, hint=advice_for(error)) from error


def _unpacking(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, bounds: Bounds
) -> Callable[[], bytes]:
    return lambda: _extract(archive, info, bounds)


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, bounds: Bounds) -> bytes:
    """Never more than the bound, whatever the entry's header says of its size."""
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        raise Rejected("damaged", "is encrypted, or packed in a way that OSV does not use")
    if info.file_size > bounds.entry_bytes:
        raise Rejected("too-large", f"is larger than {bounds.entry_bytes} bytes")
    try:
        with archive.open(info) as file:
            data = file.read(bounds.entry_bytes + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise Rejected("damaged", f"cannot be unpacked: {error}") from error
    return _require_size(data, bounds)


def _require_size(data: bytes, bounds: Bounds) -> bytes:
    if len(data) > bounds.entry_bytes:
        raise Rejected("too-large", f"is larger than {bounds.entry_bytes} bytes")
    return data


def _require_count(count: int, path: Path, bounds: Bounds) -> None:
    if not count:
        raise Rejected("empty", f"{path} holds no {_SUFFIX} file")
    if count > bounds.entries:
        raise Rejected("too-large", f"{path} holds more than {bounds.entries} entries")
