"""Images and their installation: the same tree again, or the slot as it was."""

import hashlib
import os
from pathlib import Path

import msgspec
import pytest
from tests.firmware.images import assert_old, install, make_tree

from limpet.errors import Rejected
from limpet.firmware.image import GROUP_BYTES, build_image
from limpet.firmware.installation import discard_partial, install_image
from limpet.firmware.tree import digest_tree
from limpet.storage import write_atomic
from limpet.wire.release import Group, Image


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
