"""How tightly the images of tests are packed: not tightly, since a device unpacks one once.

To pack the example costs 3 s of a processor less so, and half a minute with real packages. All the
rest is as it ships: the format, the groups, the hashes. What a release is packed with is held by
`tests/firmware/test_groups.py`.
"""

from limpet.firmware import codec, image

__all__ = ["pack_lightly"]

LEVEL = 1


def pack_lightly() -> None:
    """From here on, in this process and its forks."""
    image.pack_group = _pack_lightly


def _pack_lightly(data: bytes, level: int = LEVEL) -> bytes:
    del level
    return codec.pack_group(data, level=LEVEL)
