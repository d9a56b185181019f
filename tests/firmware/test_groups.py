"""The groups of an image: bombs, other content and bytes too many, in both packings."""

import hashlib
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from limpet.errors import Rejected
from limpet.firmware import image
from limpet.firmware.codec import LEVEL, Codec, pack_group
from limpet.firmware.image import GROUP_BYTES, PACKED_BYTES, build_image, open_group
from limpet.wire.release import Group

PACKERS: dict[Codec, Callable[[bytes], bytes]] = {"zlib": zlib.compress, "zstd": pack_group}
codecs = pytest.mark.parametrize("codec", ["zlib", "zstd"])


def describe(packed: bytes, data: bytes) -> Group:
    return Group(packed=len(packed), size=len(data), sha256=hashlib.sha256(data).hexdigest())


@codecs
def test_what_was_packed_comes_out_again(codec: Codec) -> None:
    data = bytes(range(256)) * 100
    packed = PACKERS[codec](data)
    assert open_group(packed, describe(packed, data), codec) == data


@codecs
def test_a_bomb_is_stopped_at_the_signed_size(codec: Codec) -> None:
    bomb = PACKERS[codec](bytes(64 << 20))
    group = Group(packed=len(bomb), size=1000, sha256="ab" * 32)
    tracemalloc.start()
    with pytest.raises(Rejected) as refused:
        open_group(bomb, group, codec)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "another size" in refused.value.message
    assert peak < 1 << 20, "it was unpacked to the end"


def test_a_frame_that_hides_its_size_or_asks_for_a_large_window_is_refused() -> None:
    data = bytes(1000)
    for packed in (
        zstandard.ZstdCompressor(write_content_size=False).compress(data),
        with_window(27, data),
    ):
        with pytest.raises(Rejected) as refused:
            open_group(packed, describe(packed, data), "zstd")
        assert refused.value.reason == "tampered-image"


def with_window(log: int, data: bytes) -> bytes:
    """One raw block in a frame that names a content size and a window of 2^`log` bytes."""
    head = b"\x28\xb5\x2f\xfd" + bytes([0b0100_0000, (log - 10) << 3])
    size = (len(data) - 256).to_bytes(2, "little")
    block = (len(data) << 3 | 1).to_bytes(3, "little")
    return head + size + block + data


def test_a_small_window_of_the_same_form_is_read() -> None:
    """So that it is the window that the test above refuses."""
    packed = with_window(10, data := bytes(1000))
    assert open_group(packed, describe(packed, data), "zstd") == data


@codecs
def test_other_content_of_the_same_size_is_refused_by_its_hash(codec: Codec) -> None:
    """A correct stream with a correct checksum: only the signed hash tells."""
    signed, other = b"x" * 100, PACKERS[codec](b"y" * 100)
    group = Group(packed=len(other), size=100, sha256=hashlib.sha256(signed).hexdigest())
    with pytest.raises(Rejected) as refused:
        open_group(other, group, codec)
    assert refused.value.reason == "tampered-image"


@codecs
def test_bytes_after_the_compressed_stream_are_refused(codec: Codec) -> None:
    data = b"x" * 100
    packed = PACKERS[codec](data) + b"more"
    with pytest.raises(Rejected):
        open_group(packed, describe(packed, data), codec)


@codecs
def test_a_truncated_stream_is_refused_at_every_length(codec: Codec) -> None:
    data = bytes(range(256))
    packed = PACKERS[codec](data)
    for length in range(1, len(packed)):
        with pytest.raises(Rejected):
            open_group(packed[:length], describe(packed[:length], data), codec)


def test_a_release_is_packed_as_tightly_as_pays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = []

    def pack(data: bytes, level: int) -> bytes:
        levels.append(level)
        return pack_group(data, level)

    monkeypatch.setattr(image, "pack_group", pack)  # as it was, before the tests' lighter one
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "words").write_text("an example of what repeats " * 5000)
    build_image(tmp_path / "tree", tmp_path / "image")
    assert levels == [LEVEL]
    assert LEVEL >= 19


def test_bytes_that_do_not_compress_stay_within_the_bound_of_a_packed_group() -> None:
    noise = b"".join(
        hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(GROUP_BYTES // 32)
    )
    assert len(noise) == GROUP_BYTES
    assert len(pack_group(noise)) < PACKED_BYTES
