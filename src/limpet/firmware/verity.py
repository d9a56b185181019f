"""The hash tree of a block image: dm-verity's own on-disk format, made and checked.

Owns the layout: data blocks, then one block that begins with the superblock, then the
levels of the tree, the top one first (Linux, admin-guide/device-mapper/verity.rst; hash
type 1, SHA-256, blocks of 4096 bytes both ways). The salt comes from the data, so that one
image gives one hash tree. The kernel checks each block as it is read, where it has
dm-verity; `verify_blocks` checks all of them at once, where it has not.
"""

import errno
import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.storage import sync_directory
from limpet.wire.release import Verity

__all__ = ["BLOCK", "append_verity", "hash_offset", "verify_blocks"]

BLOCK = 4096
_PER_BLOCK = BLOCK // hashlib.sha256().digest_size
_READ_BLOCKS = 256
_SUPERBLOCK = struct.Struct("<8sII16s32sIIQH6s256s168s")


def hash_offset(verity: Verity) -> int:
    """Where the superblock lies: right behind the data."""
    return verity.data_blocks * BLOCK


def append_verity(image: Path) -> Verity:
    """Fill `image` up to whole blocks and append its hash tree; durable on return.

    Raises `Rejected("malformed")` for an empty file, `Unavailable`.
    """
    try:
        size = image.stat().st_size
        if size == 0:
            raise Rejected("malformed", f"{image} is empty: no firmware")
        with image.open("r+b") as file:
            os.truncate(file.fileno(), -(-size // BLOCK) * BLOCK)
            salt = hashlib.file_digest(file, "sha256").digest()
            blocks = -(-size // BLOCK)
            levels = _levels(_leaves(file.fileno(), blocks, salt), salt)
            file.seek(blocks * BLOCK)
            file.write(_superblock(blocks, salt).ljust(BLOCK, b"\0"))
            for level in reversed(levels[:-1]):
                file.write(level.ljust(-(-len(level) // BLOCK) * BLOCK, b"\0"))
            file.flush()
            os.fsync(file.fileno())
        sync_directory(image.parent)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot write the hash tree of {image}: {why}") from error
    return Verity(root_sha256=levels[-1].hex(), salt=salt.hex(), data_blocks=blocks)


def verify_blocks(device: Path, verity: Verity) -> None:
    """That all data of `device` is what `verity` says, from the medium and not from a cache.

    Raises `Rejected("tampered-blocks")`, `Unavailable` if it cannot be read.
    """
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            salt = bytes.fromhex(verity.salt)
            root = _levels(_leaves(descriptor, verity.data_blocks, salt), salt)[-1]
        finally:
            os.close(descriptor)
    except OSError as error:
        message = f"cannot read {device}: {(error.strerror or 'failed').lower()}"
        if error.errno == errno.EIO:  # the medium is at its end, or lies
            raise Rejected("tampered-blocks", message) from error
        raise Unavailable(message) from error
    if root.hex() != verity.root_sha256:
        raise Rejected("tampered-blocks", f"{device} does not hold the firmware of its record")


def _leaves(descriptor: int, blocks: int, salt: bytes) -> Iterator[bytes]:
    salted = hashlib.sha256(salt)
    for first in range(0, blocks, _READ_BLOCKS):
        wanted = min(_READ_BLOCKS, blocks - first) * BLOCK
        data = os.pread(descriptor, wanted, first * BLOCK)
        if len(data) != wanted:
            raise Rejected("tampered-blocks", "the slot is shorter than its firmware")
        for start in range(0, wanted, BLOCK):
            leaf = salted.copy()
            leaf.update(memoryview(data)[start : start + BLOCK])
            yield leaf.digest()


def _levels(leaves: Iterator[bytes], salt: bytes) -> list[bytes]:
    """The hashes of each level, from the data's up to the root alone."""
    levels = [b"".join(leaves)]
    while len(levels[-1]) > hashlib.sha256().digest_size:
        below, step = levels[-1], _PER_BLOCK * 32
        parts = (below[start : start + step] for start in range(0, len(below), step))
        hashes = (hashlib.sha256(salt + part.ljust(BLOCK, b"\0")).digest() for part in parts)
        levels.append(b"".join(hashes))
    return levels


def _superblock(blocks: int, salt: bytes) -> bytes:
    uuid = hashlib.sha256(b"limpet-verity-1\0" + salt).digest()[:16]
    return _SUPERBLOCK.pack(
        b"verity", 1, 1, uuid, b"sha256", BLOCK, BLOCK, blocks, len(salt), b"", salt, b""
    )
