"""Images and their installation: cut anywhere, lied to, short of space; the slot is old or new."""

import errno
import hashlib
import os
import tracemalloc
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limpet.errors import Rejected, Unavailable
from limpet.firmware import archive, installation, tree
from limpet.firmware.archive import ArchiveReader, Begin, Content
from limpet.firmware.image import GROUP_BYTES, build_image, open_group, range_reader
from limpet.firmware.installation import discard_partial, install_image
from limpet.firmware.tree import Entry, Kind, digest_tree
from limpet.storage import write_atomic
from limpet.wire.release import Group, Image


def make_tree(root: Path, seed: str = "new") -> Path:
    (root / "app" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "firmware.json").write_text(seed)
    (root / "app" / "run").write_text("#!/bin/sh\n")
    (root / "app" / "run").chmod(0o755)
    (root / "app" / "nothing").write_bytes(b"")
    noise = b"".join(hashlib.sha256(f"{seed}{i}".encode()).digest() for i in range(80_000))
    (root / "app" / "deep" / "data.bin").write_bytes(noise)  # 2.4 MiB: three groups
    return root


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Image]:
    work = tmp_path_factory.mktemp("image")
    source = make_tree(work / "tree")
    return source, work / "image.img", build_image(source, work / "image.img")


@pytest.fixture
def slots(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "old").write_text("old firmware")
    return tmp_path


def install(slots: Path, image: Image, file: Path) -> str:
    journal = slots / "journal"
    return install_image(image, range_reader(file), slots / "b", journal=journal).tree_sha256


def assert_old(slots: Path) -> None:
    assert (slots / "b" / "old").read_text() == "old firmware"


def test_an_image_becomes_the_same_tree_again(built: tuple[Path, Path, Image], slots: Path) -> None:
    source, file, image = built
    assert len(image.groups) == 3
    assert install(slots, image, file) == image.tree_sha256 == digest_tree(source)
    assert digest_tree(slots / "b") == image.tree_sha256
    assert os.access(slots / "b" / "app" / "run", os.X_OK)
    assert sorted(path.name for path in slots.iterdir()) == ["b"]


def test_two_builds_of_one_tree_are_equal(built: tuple[Path, Path, Image], tmp_path: Path) -> None:
    _, file, image = built
    again = build_image(make_tree(tmp_path / "tree"), tmp_path / "again.img")
    assert again == image
    assert (tmp_path / "again.img").read_bytes() == file.read_bytes()
    assert image.path == f"images/{hashlib.sha256(file.read_bytes()).hexdigest()}.img"


def test_the_groups_of_an_image_are_within_their_bounds(
    built: tuple[Path, Path, Image],
) -> None:
    _, file, image = built
    assert image.packed == file.stat().st_size == sum(group.packed for group in image.groups)
    assert all(group.size <= GROUP_BYTES for group in image.groups)


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_one_flipped_bit_is_refused_and_the_slot_is_untouched(
    built: tuple[Path, Path, Image], slots: Path, where: float
) -> None:
    _, file, image = built
    data = bytearray(file.read_bytes())
    data[int(len(data) * where)] ^= 0x10
    bad = slots / "bad.img"
    bad.write_bytes(bytes(data))
    with pytest.raises(Rejected) as refused:
        install(slots, image, bad)
    assert refused.value.reason == "tampered-image"
    assert_old(slots)
    assert not (slots / "b.part").exists()


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


def test_groups_over_the_bound_are_refused_before_anything_is_read(
    built: tuple[Path, Path, Image], slots: Path
) -> None:
    image = built[2]
    huge = Group(packed=1 << 40, size=1000, sha256="ab" * 32)
    image = msgspec.structs.replace(image, groups=(huge,), packed=1 << 40, size=1000)

    def never(offset: int, length: int) -> bytes:
        raise AssertionError("read")

    with pytest.raises(Rejected) as refused:
        install_image(image, never, slots / "b", journal=slots / "journal")
    assert refused.value.reason == "malformed"


def test_a_tree_that_is_not_the_signed_one_is_refused(
    built: tuple[Path, Path, Image], slots: Path
) -> None:
    _, file, image = built
    with pytest.raises(Rejected) as refused:
        install(slots, msgspec.structs.replace(image, tree_sha256="ab" * 32), file)
    assert refused.value.reason == "tampered-tree"
    assert_old(slots)


@pytest.mark.parametrize("cut_at", range(3))
def test_a_broken_line_costs_one_group_at_most(
    built: tuple[Path, Path, Image], slots: Path, cut_at: int
) -> None:
    _, file, image = built
    whole = range_reader(file)
    offsets: list[int] = []

    def read(offset: int, length: int) -> bytes:
        offsets.append(offset)
        if len(offsets) == cut_at + 1:
            raise Unavailable("the line broke")
        return whole(offset, length)

    journal = slots / "journal"
    with pytest.raises(Unavailable):
        install_image(image, read, slots / "b", journal=journal)
    assert_old(slots)
    install_image(image, read, slots / "b", journal=journal)
    assert len(offsets) == 4
    assert digest_tree(slots / "b") == image.tree_sha256


def test_a_bad_peer_does_not_cost_what_was_written(
    built: tuple[Path, Path, Image], slots: Path
) -> None:
    _, file, image = built
    whole, asked = range_reader(file), 0

    def read(offset: int, length: int) -> bytes:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise Rejected("untrusted-server", "somebody else answers")
        return whole(offset, length)

    with pytest.raises(Rejected):
        install_image(image, read, slots / "b", journal=slots / "journal")
    install_image(image, read, slots / "b", journal=slots / "journal")
    assert asked == 4


class PowerCut(BaseException):
    """Nothing of the program runs after it."""


CUT_POINTS = ("fsync", "rename", "replace", "mkdir", "unlink", "write")


@pytest.mark.parametrize("step", range(48))
def test_a_cut_at_any_step_leaves_the_old_slot_or_the_new_one(
    built: tuple[Path, Path, Image], slots: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cut comes before the n-th change of the file system; the next try must succeed."""
    _, file, image = built
    count = 0

    def guard(name: str) -> None:
        nonlocal count
        if count == step:
            raise PowerCut(name)
        count += 1

    for name in CUT_POINTS:
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _n=name, _r=real, **k: (guard(_n), _r(*a, **k))[1])
    for name in ("rename", "replace"):
        method = getattr(Path, name)
        monkeypatch.setattr(
            Path, name, lambda *a, _n=name, _r=method, **k: (guard(_n), _r(*a, **k))[1]
        )
    was_cut = False
    try:
        install(slots, image, file)
    except PowerCut:
        was_cut = True
    monkeypatch.undo()
    assert was_cut or count <= step, "every step of the installation was reached"
    if (slots / "b").exists() and (slots / "b" / "old").exists():
        assert_old(slots)
    elif (slots / "b").exists():
        assert digest_tree(slots / "b") == image.tree_sha256
    else:  # between the two renames of the swap: the other slot runs, this one is made again
        assert digest_tree(slots / "b.part") == image.tree_sha256
    assert install(slots, image, file) == image.tree_sha256
    assert digest_tree(slots / "b") == image.tree_sha256


def test_a_journal_that_promises_too_much_leads_to_a_fresh_start(
    built: tuple[Path, Path, Image], slots: Path
) -> None:
    """A cut can keep the journal and lose a directory entry."""
    _, file, image = built
    whole, calls = range_reader(file), 0

    def read(offset: int, length: int) -> bytes:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Unavailable("cut")
        return whole(offset, length)

    with pytest.raises(Unavailable):
        install_image(image, read, slots / "b", journal=slots / "journal")
    (slots / "b.part" / "app" / "deep" / "data.bin").unlink()
    install_image(image, read, slots / "b", journal=slots / "journal")
    assert digest_tree(slots / "b") == image.tree_sha256


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff" * 40, b'{"groups": 99}'])
def test_a_damaged_journal_is_a_fresh_start(
    built: tuple[Path, Path, Image], slots: Path, junk: bytes
) -> None:
    _, file, image = built
    (slots / "journal").write_bytes(junk)
    (slots / "b.part").mkdir()
    (slots / "b.part" / "planted").write_text("x")
    install(slots, image, file)
    assert digest_tree(slots / "b") == image.tree_sha256


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    built: tuple[Path, Path, Image], slots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, file, image = built
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 100_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data)

    monkeypatch.setattr(installation.os, "write", full)
    with pytest.raises(Unavailable) as failed:
        install(slots, image, file)
    monkeypatch.undo()
    assert "no space left" in failed.value.message
    assert_old(slots)
    assert not (slots / "b.part").exists()


def test_too_little_space_is_noticed_before_the_first_byte(
    built: tuple[Path, Path, Image], slots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, file, image = built
    real = os.statvfs(slots)
    small = os.statvfs_result((*real[:3], 10, 10, *real[5:]))
    monkeypatch.setattr(installation.os, "statvfs", lambda path: small)
    with pytest.raises(Unavailable):
        install(slots, image, file)
    assert_old(slots)


def test_an_installed_image_is_not_fetched_again(
    built: tuple[Path, Path, Image], slots: Path
) -> None:
    _, file, image = built
    install(slots, image, file)

    def never(offset: int, length: int) -> bytes:
        raise AssertionError("read")

    install_image(image, never, slots / "b", journal=slots / "journal")


def test_a_partial_installation_can_be_forgotten(slots: Path) -> None:
    (slots / "b.part" / "x").mkdir(parents=True)
    write_atomic(slots / "journal", b"{}")
    discard_partial(slots / "b", journal=slots / "journal")
    assert not (slots / "b.part").exists()
    assert not (slots / "journal").exists()
    assert_old(slots)


# --- the archive


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
