"""The groups of an image: bombs, other content and bytes too many."""

import hashlib
import tracemalloc
import zlib

import pytest

from limpet.errors import Rejected
from limpet.firmware.image import open_group
from limpet.wire.release import Group


def test_a_bomb_is_stopped_at_the_signed_size() -> None:
    bomb = zlib.compress(b"\0" * (64 << 20), 9)
    group = Group(packed=len(bomb), size=1000, sha256="ab" * 32)
    tracemalloc.start()
    with pytest.raises(Rejected) as refused:
        open_group(bomb, group)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "another size" in refused.value.message
    assert peak < 1 << 20, "it was unpacked to the end"


def test_other_content_of_the_same_size_is_refused_by_its_hash() -> None:
    """A correct stream with a correct checksum: only the signed hash tells."""
    signed, other = b"x" * 100, zlib.compress(b"y" * 100)
    group = Group(packed=len(other), size=100, sha256=hashlib.sha256(signed).hexdigest())
    with pytest.raises(Rejected) as refused:
        open_group(other, group)
    assert refused.value.reason == "tampered-image"


def test_bytes_after_the_compressed_stream_are_refused() -> None:
    data = b"x" * 100
    packed = zlib.compress(data) + b"more"
    group = Group(packed=len(packed), size=100, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(Rejected):
        open_group(packed, group)
