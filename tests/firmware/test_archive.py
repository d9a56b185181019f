"""The archive inside an image: hostile bytes, hostile names, and any cutting of the stream."""

import hashlib
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.firmware.images import assert_old

from limpet.errors import Rejected
from limpet.firmware import archive, tree
from limpet.firmware.archive import ArchiveReader, Begin, Content
from limpet.firmware.installation import install_image
from limpet.firmware.tree import Entry, Kind
from limpet.wire.release import Group, Image


def read_whole(data: bytes) -> list[Begin | Content]:
    reader = ArchiveReader()
    events = list(reader.feed(data))
    reader.finish()
    return events


def framed(*parts: tuple[str, Kind, bytes]) -> bytes:
    data = archive.MAGIC
    for name, kind, content in parts:
        data += archive.frame_entry(Entry(name, kind, len(content))) + content
    return data + archive.END


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 a zip",
        archive.MAGIC + b"l\x00\x01a",
        archive.MAGIC + b"f\x00\x02..\x00\x00\x00\x00\x00\x00\x00\x00",
        archive.MAGIC + b"f\x00\x04/etc\x00\x00\x00\x00\x00\x00\x00\x00",
        archive.MAGIC + b"f\x00\x06a/../b\x00\x00\x00\x00\x00\x00\x00\x00",
        archive.MAGIC + b"f\xff\xff",
        archive.MAGIC + b"f\x00\x01a\xff\xff\xff\xff\xff\xff\xff\xff",
        framed(("b", Kind.FILE, b"1"), ("a", Kind.FILE, b"2")),
        framed(("a", Kind.FILE, b"1"), ("a", Kind.FILE, b"2")),
        framed(("a", Kind.FILE, b"1")) + b"more",
        framed(("a", Kind.FILE, b"12"))[:-2],
        archive.MAGIC,
        b"",
    ],
    ids=lambda data: repr(data[-12:]),
)
def test_a_hostile_archive_is_refused(data: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        read_whole(data)
    assert refused.value.reason == "malformed"


def test_an_archive_that_announces_too_much_is_refused_at_the_announcement() -> None:
    size = (tree.MAX_TREE_BYTES + 1).to_bytes(8, "big")
    with pytest.raises(Rejected) as refused:
        list(ArchiveReader().feed(archive.MAGIC + b"f\x00\x01a" + size))
    assert "more than firmware may" in refused.value.message


def test_a_file_below_a_file_is_refused(slots: Path) -> None:
    data = framed(("a", Kind.FILE, b"1"), ("a/b", Kind.FILE, b"2"))
    packed = zlib.compress(data)
    group = Group(packed=len(packed), size=len(data), sha256=hashlib.sha256(data).hexdigest())
    image = Image(
        path=f"images/{'0' * 64}.img",
        packed=len(packed),
        size=len(data),
        codec="zlib",
        groups=(group,),
        tree_sha256="ab" * 32,
    )
    with pytest.raises(Rejected) as refused:
        install_image(image, lambda o, n: packed, slots / "b", journal=slots / "journal")
    assert refused.value.reason == "malformed"
    assert_old(slots)


@given(st.binary(max_size=400))
def test_no_bytes_make_the_archive_reader_raise_anything_else(data: bytes) -> None:
    try:
        events = read_whole(archive.MAGIC + data)
    except Rejected:
        return
    for event in events:
        if isinstance(event, Begin):
            tree.verify_name(event.entry.name)


@settings(max_examples=60)
@given(st.lists(st.integers(1, 50), max_size=40))
def test_the_cuts_between_pieces_do_not_matter(sizes: list[int]) -> None:
    """Any cutting of the stream, with the state written down and read back in between."""
    data = framed(
        ("app", Kind.DIRECTORY, b""),
        ("app/a", Kind.FILE, b"hello" * 9),
        ("app/b", Kind.EXECUTABLE, b""),
        ("z", Kind.FILE, b"end"),
    )
    reader, found = ArchiveReader(), b""
    names = []
    for size in [*sizes, len(data)]:
        piece, data = data[:size], data[size:]
        state = msgspec.json.decode(msgspec.json.encode(reader.state), type=archive.ReaderState)
        reader = ArchiveReader(state)
        for event in reader.feed(piece):
            match event:
                case Begin(entry):
                    names.append(entry.name)
                case Content(content):
                    found += content
    reader.finish()
    assert names == ["app", "app/a", "app/b", "z"]
    assert found == b"hello" * 9 + b"end"
