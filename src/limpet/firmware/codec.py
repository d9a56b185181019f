"""What a group of an image is packed with: Zstandard (RFC 8878), and zlib for older images.

Owns both directions and the bounds of unpacking: hostile bytes never make more than the signed
size, and choose no window. Knows no hash: `limpet.firmware.image` compares.
"""

import zlib
from typing import Literal

import zstandard

from limpet.errors import Rejected

__all__ = ["LEVEL", "Codec", "pack_group", "unpack_group"]

Codec = Literal["zlib", "zstd"]

LEVEL = 19
"""Of 22: the higher ones make a group of 1 MiB no smaller (docs/adr/0122)."""
_WINDOW_BYTES = 1 << 20
"""Largest window: a group is no longer."""


def pack_group(data: bytes, level: int = LEVEL) -> bytes:
    """One Zstandard frame that names its content's size; at most some bytes more than `data`."""
    packer = zstandard.ZstdCompressor(
        level=level, write_content_size=True, write_checksum=False, write_dict_id=False
    )
    return packer.compress(data)


def unpack_group(packed: bytes, size: int, codec: Codec) -> bytes:
    """The content of `packed`, which must be `size` bytes. Raises `Rejected("tampered-image")`.

    Never makes more than `size` plus one byte.
    """
    return _unpack_zstd(packed, size) if codec == "zstd" else _unpack_zlib(packed, size)


def _unpack_zstd(packed: bytes, size: int) -> bytes:
    try:
        frame = zstandard.get_frame_parameters(packed)
        # The library makes room for what the frame announces, so that comes first.
        if frame.content_size != size or frame.window_size > max(size, _WINDOW_BYTES):
            raise Rejected("tampered-image", "a group unpacks to another size than signed")
        opener = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
        data = opener.decompress(packed, max_output_size=size, allow_extra_data=False)
    except (zstandard.ZstdError, ValueError) as error:
        raise Rejected("tampered-image", "a group does not unpack") from error
    if len(data) != size:
        raise Rejected("tampered-image", "a group unpacks to another size than signed")
    return data


def _unpack_zlib(packed: bytes, size: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, size + 1)
    except zlib.error as error:
        raise Rejected("tampered-image", "a group does not unpack") from error
    if len(data) != size or not stream.eof or stream.unused_data:
        raise Rejected("tampered-image", "a group unpacks to another size than signed")
    return data
