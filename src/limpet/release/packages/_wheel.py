"""A wheel (PEP 427), read as what it is: a stranger's archive.

Owns what is taken out of one, verified against the archive's own RECORD: the files that an import
needs and the metadata of the distribution. Never runs or imports anything of it.

1. The file's bytes are those of a hash that the lock names (the caller's part, `_gathering`).
2. Entries: bounded in number and size, no name twice, no name that could leave its directory, no
   link, no encryption; nothing is unpacked further than the size that it states.
3. RECORD names each file with its hash, and no other.
4. Kept: the libraries (`purelib`, `platlib`) and `*.dist-info`. Left out: programs, headers and
   data for other places, hidden files, byte code, what an installer writes. Refused: `*.pth`, which
   Python would run at each start; the name `limpet`; a library for another processor.
"""

import base64
import csv
import hashlib
import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import PurePosixPath

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from limpet.errors import Rejected
from limpet.firmware.tree import verify_name
from limpet.release.packages._target import ELF_MACHINES, Target

__all__ = ["MAX_WHEEL_BYTES", "Wheel", "parse_name", "read_wheel"]

MAX_WHEEL_BYTES = 128 << 20
MAX_UNPACKED_BYTES = 512 << 20
MAX_FILES = 10_000
MAX_METADATA_BYTES = 1 << 20

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 0x1
_RECORDS = ("RECORD", "RECORD.jws", "RECORD.p7s")
_OF_INSTALLERS = frozenset({*_RECORDS, "INSTALLER", "REQUESTED", "direct_url.json"})
_LIBRARIES = frozenset({"purelib", "platlib"})
_ALGORITHMS = frozenset({"sha256", "sha384", "sha512"})
_OURS = frozenset({"limpet", "limpet.py", "packages.json"})
_ELF = b"\x7fELF"
_WORDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel that was verified: what of it goes into a firmware, and what it needs."""

    file: str
    name: str  # normalised (PEP 503)
    version: Version
    sha256: str  # of the wheel's file, hexadecimal
    requires: tuple[Requirement, ...]
    files: tuple[tuple[str, bytes], ...]  # by path below packages/, sorted


def parse_name(file: str) -> tuple[str, Version, frozenset[Tag]]:
    """Name, version and tags that a wheel's file name states. Raises `Rejected("bad-wheel")`."""
    try:
        name, version, _, tags = parse_wheel_filename(file)
    except InvalidWheelFilename as error:
        raise Rejected("bad-wheel", f"{file[:_WORDS]!a} is not the name of a wheel") from error
    return name, version, tags


def read_wheel(file: str, data: bytes, target: Target) -> Wheel:
    """The wheel of the name `file` whose bytes are `data`.

    Raises `Rejected("bad-wheel" | "wrong-platform")`, which names the file.
    """
    name, version, _ = parse_name(file)
    try:
        contents = dict(_entries(data))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise _bad(file, f"not a whole archive: {error}") from error
    except Rejected as error:
        raise _bad(file, error.message) from error
    info = _dist_info(file, contents, name, version)
    _verify_record(file, contents, info)
    requires = _requirements(file, contents, info, target)
    kept = dict(_kept(file, contents, info))
    for path, content in kept.items():
        _verify_processor(file, path, content, target)
    return Wheel(
        file=file,
        name=name,
        version=version,
        sha256=hashlib.sha256(data).hexdigest(),
        requires=requires,
        files=tuple(sorted(kept.items())),
    )


def _bad(file: str, why: str) -> Rejected:
    return Rejected("bad-wheel", f"{file}: {why}")


def _entries(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Every file of the archive, within the bounds. Raises `Rejected`, and what zipfile does."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if len(entries) > MAX_FILES:
            raise Rejected("bad-wheel", f"more than {MAX_FILES} entries")
        seen: set[str] = set()
        left = MAX_UNPACKED_BYTES
        for entry in entries:
            name = _verify_entry(entry)
            if name in seen:
                raise Rejected("bad-wheel", f"{name} is in it twice")
            seen.add(name)
            if entry.is_dir():
                continue
            left -= entry.file_size
            if left < 0:
                raise Rejected("bad-wheel", f"unpacked more than {MAX_UNPACKED_BYTES} bytes")
            with archive.open(entry) as opened:  # which stops at the stated size, and checks it
                content = opened.read(entry.file_size + 1)
            if len(content) != entry.file_size:
                raise Rejected("bad-wheel", f"{name} is not of the size that it states")
            yield name, content


def _verify_entry(entry: zipfile.ZipInfo) -> str:
    """The entry's path, which cannot leave its directory."""
    name = entry.filename.removesuffix("/")
    if entry.orig_filename != entry.filename or "\\" in name:
        raise Rejected("bad-wheel", f"{entry.orig_filename[:_WORDS]!a} is no name of a file")
    parts = [part.removeprefix(".") if part != ".." else part for part in name.split("/")]
    verify_name(f"packages/{'/'.join(parts)}")  # a hidden file is left out, and no error
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Rejected("bad-wheel", f"{name} is neither a file nor a directory")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        raise Rejected("bad-wheel", f"{name} is packed in a way that no wheel is")
    return name


def _dist_info(file: str, contents: dict[str, bytes], name: str, version: Version) -> str:
    """The directory of the metadata, which is of this name and version."""
    tops = {path.split("/", 1)[0] for path in contents if "/" in path}
    found = sorted(top for top in tops if top.endswith(".dist-info"))
    if len(found) != 1:
        raise _bad(file, f"{len(found)} directories *.dist-info, and not one")
    stated, _, number = found[0].removesuffix(".dist-info").partition("-")
    try:
        same = canonicalize_name(stated) == name and Version(number) == version
    except InvalidVersion:
        same = False
    if not same:
        raise _bad(file, f"holds {found[0]}")
    wheel = _header(contents.get(f"{found[0]}/WHEEL", b"")).get("Wheel-Version", "")
    if wheel.split(".")[0] != "1":
        raise _bad(file, f"Wheel-Version {wheel[:20]!a} is unknown")
    return found[0]


def _header(data: bytes) -> dict[str, str]:
    return dict(BytesParser().parsebytes(data[:MAX_METADATA_BYTES], headersonly=True).items())


def _verify_record(file: str, contents: dict[str, bytes], info: str) -> None:
    """That RECORD and the archive name the same files, with the same hashes (PEP 376)."""
    try:
        text = contents[f"{info}/RECORD"].decode("utf-8")
        rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise _bad(file, "no RECORD that can be read") from error
    signatures = {f"{info}/{name}" for name in _RECORDS}
    recorded: set[str] = set()
    for row in rows:
        if len(row) != 3 or row[0] in recorded:
            raise _bad(file, f"RECORD is wrong at {row[0][:_WORDS]!a}")
        recorded.add(row[0])
        if row[0] not in signatures and not _matches(contents.get(row[0]), row[1]):
            raise _bad(file, f"{row[0][:_WORDS]} is not what RECORD says")
    if unrecorded := sorted(set(contents) - recorded - signatures):
        raise _bad(file, f"{unrecorded[0]} is not in RECORD")


def _matches(content: bytes | None, stated: str) -> bool:
    algorithm, _, digest = stated.partition("=")
    if content is None or algorithm not in _ALGORITHMS:
        return False
    actual = base64.urlsafe_b64encode(hashlib.new(algorithm, content).digest())
    return actual.rstrip(b"=").decode() == digest


def _requirements(
    file: str, contents: dict[str, bytes], info: str, target: Target
) -> tuple[Requirement, ...]:
    """What the distribution says it needs, which includes a Python that the target has."""
    data = contents.get(f"{info}/METADATA", b"")
    header = BytesParser().parsebytes(data[:MAX_METADATA_BYTES], headersonly=True)
    try:
        python = SpecifierSet(header.get("Requires-Python", "") or "")
        requires = tuple(map(Requirement, header.get_all("Requires-Dist") or ()))
    except (InvalidSpecifier, InvalidRequirement) as error:
        raise _bad(file, f"METADATA: {str(error).splitlines()[0]}") from error
    # Of that Python any release may be there: 3.11.99 is as good as one.
    if not python.contains(f"{target.python}.99"):
        raise Rejected("wrong-platform", f"{file} needs Python {python}, not {target.python}")
    return requires


def _kept(file: str, contents: dict[str, bytes], info: str) -> Iterator[tuple[str, bytes]]:
    data = f"{info.removesuffix('.dist-info')}.data"
    taken: set[str] = set()
    for path, content in contents.items():
        top, _, rest = path.partition("/")
        if top == data:
            scheme, _, rest = rest.partition("/")
            if scheme not in _LIBRARIES or not rest:
                continue
            path = rest
        elif top == info and rest in _OF_INSTALLERS:
            continue
        pure = PurePosixPath(path)
        hidden = any(part.startswith(".") for part in pure.parts)
        if hidden or pure.suffix in (".pyc", ".pyo") or "__pycache__" in pure.parts:
            continue
        if pure.suffix == ".pth" and len(pure.parts) == 1:
            raise _bad(file, f"{path} would run at each start of Python, and a device does not")
        if pure.parts[0] in _OURS:
            raise _bad(file, f"{path} takes a name of limpet's own")
        if path in taken:
            raise _bad(file, f"{path} is in it twice")
        taken.add(path)
        yield path, content


def _verify_processor(file: str, path: str, content: bytes, target: Target) -> None:
    """That a library is for the target, whatever the wheel's name says (elf(5))."""
    if content[:4] != _ELF:
        return
    wide, little = content[4:5] == b"\x02", content[5:6] == b"\x01"
    machine = int.from_bytes(content[18:20], "little")
    if not (wide and little and machine == ELF_MACHINES[target.architecture]):
        message = f"{file}: {path} is not for {target.architecture}, whatever its name says"
        raise Rejected("wrong-platform", message)
