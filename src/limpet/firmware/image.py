"""Images: an archive cut in groups, each compressed and verified on its own.

Owns how a tree becomes the file `images/<sha256>.img` and its description
(`limpet.wire.release.Image`), and how one group is opened again. Never trusts a
compressed byte: what comes out is bounded by the signed size before it is
compared with the signed hash (SHA-256, FIPS 180-4).

A group is at most 1 MiB of archive, as one Zstandard frame (RFC 8878). Groups follow
each other without any framing; the manifest says where each begins.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Literal

from limpet.errors import Rejected, Unavailable
from limpet.firmware.archive import END, MAGIC, frame_entry
from limpet.firmware.codec import LEVEL, Codec, pack_group, unpack_group
from limpet.firmware.tree import Kind, TreeHash, walk_tree
from limpet.storage import sync_directory
from limpet.wire.release import Group, Image, Verity

__all__ = [
    "GROUP_BYTES",
    "PACKED_BYTES",
    "ReadGroup",
    "ReadRange",
    "build_image",
    "group_reader",
    "open_group",
    "pack_file",
    "range_reader",
]

GROUP_BYTES = 1 << 20
PACKED_BYTES = GROUP_BYTES + (64 << 10)
"""Largest packed group that anyone reads: packing adds far less to bytes that do not compress."""

_READ_BYTES = 1 << 18

ReadRange = Callable[[int, int], bytes]
"""`(offset, length)` of the packed image -> exactly those bytes, or fewer if it is shorter."""

ReadGroup = Callable[[int], bytes]
"""The number of a group -> its verified bytes."""


def build_image(tree: Path, out: Path, *, level: int = LEVEL) -> Image:
    """Pack `tree` into the file `out`; the same tree gives the same bytes.

    (With one version of zstandard; the unpacked archive is the same with any, and with any
    `level`: a low one is for an image that nobody is to fetch.)
    Raises `Rejected("tampered-tree")` if `tree` holds what firmware cannot, `Unavailable`.
    """
    digest = TreeHash()
    packed, size, groups = _pack(_archive(tree, digest), out, level)
    return Image(
        path=packed,
        packed=sum(group.packed for group in groups),
        size=size,
        codec="zstd",
        groups=groups,
        tree_sha256=digest.hexdigest(),
    )


def pack_file(
    source: Path,
    out: Path,
    *,
    kind: Literal["block", "bundle"],
    verity: Verity | None = None,
    level: int = LEVEL,
) -> Image:
    """Pack the bytes of `source` as they are: a block image with its hash tree, or the bundle of
    another updater. `level` as for `build_image`. Raises `Unavailable`."""
    whole = hashlib.sha256()

    def read() -> Iterator[bytes]:
        with source.open("rb") as file:
            while block := file.read(_READ_BYTES):
                whole.update(block)
                yield block

    path, size, groups = _pack(read(), out, level)
    return Image(
        path=path,
        packed=sum(group.packed for group in groups),
        size=size,
        codec="zstd",
        groups=groups,
        tree_sha256=whole.hexdigest(),
        kind=kind,
        verity=verity,
    )


def _pack(
    pieces: Iterator[bytes], out: Path, level: int = LEVEL
) -> tuple[str, int, tuple[Group, ...]]:
    """Write the groups of `pieces` to `out`, durably: path, size unpacked, groups."""
    whole = hashlib.sha256()
    groups: list[Group] = []
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            for data, packed in _packed(_grouped(pieces), level):
                whole.update(packed)
                file.write(packed)
                sha256 = hashlib.sha256(data).hexdigest()
                groups.append(Group(packed=len(packed), size=len(data), sha256=sha256))
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
        sync_directory(out.parent)
    except OSError as error:
        part.unlink(missing_ok=True)
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot write the image {out}: {why}") from error
    return f"images/{whole.hexdigest()}.img", sum(group.size for group in groups), tuple(groups)


def open_group(packed: bytes, group: Group, codec: Codec) -> bytes:
    """The archive bytes of `group`, verified. Raises `Rejected("tampered-image")`.

    Never makes more than the signed size plus one byte, whatever the bytes claim.
    """
    if len(packed) != group.packed:
        raise Rejected("tampered-image", f"a group of {len(packed)} bytes, not {group.packed}")
    data = unpack_group(packed, group.size, codec)
    if hashlib.sha256(data).hexdigest() != group.sha256:
        raise Rejected("tampered-image", "a group's hash is not the signed one")
    return data


def group_reader(image: Image, read_range: ReadRange) -> ReadGroup:
    """The groups of the packed image, each verified. Raises `Rejected("tampered-image")`."""
    begins = tuple(accumulate((group.packed for group in image.groups), initial=0))

    def read(index: int) -> bytes:
        group = image.groups[index]
        return open_group(read_range(begins[index], group.packed), group, image.codec)

    return read


def range_reader(path: Path) -> ReadRange:
    """A `ReadRange` over a local image file (the factory's way). Raises `Unavailable`."""

    def read(offset: int, length: int) -> bytes:
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise Unavailable(f"cannot read {path}: {error.strerror}") from error

    return read


def _archive(tree: Path, digest: TreeHash) -> Iterator[bytes]:
    yield MAGIC
    for entry in walk_tree(tree):
        yield frame_entry(entry)
        if entry.kind is Kind.DIRECTORY:
            digest.add(entry)
            continue
        content, size = hashlib.sha256(), 0
        with (tree / entry.name).open("rb") as file:
            while block := file.read(_READ_BYTES):
                size += len(block)
                content.update(block)
                yield block
        if size != entry.size:
            raise Rejected("tampered-tree", f"{entry.name} changed while it was read")
        digest.add(entry, content.digest())
    yield END


def _packed(groups: Iterator[bytes], level: int) -> Iterator[tuple[bytes, bytes]]:
    """Each group and what it is packed to, in order; by a thread for each processor."""
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        # So many at a time, because `map` reads all of what it is given at once.
        while batch := list(islice(groups, 8 * workers)):
            yield from zip(batch, pool.map(partial(pack_group, level=level), batch), strict=True)


def _grouped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= GROUP_BYTES:
            yield bytes(buffer[:GROUP_BYTES])
            del buffer[:GROUP_BYTES]
    if buffer:
        yield bytes(buffer)
