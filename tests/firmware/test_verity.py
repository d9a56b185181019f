"""Block images: the hash tree is dm-verity's, a slot gets every byte, and no flipped one passes."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from tests.needs import need

from limpet.errors import Rejected, Unavailable
from limpet.firmware.blocks import install_blocks, verify_device
from limpet.firmware.image import open_group, pack_file, range_reader
from limpet.firmware.installation import install_image
from limpet.firmware.verity import BLOCK, append_verity, hash_offset, verify_blocks
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import Image

MIB = 1 << 20


def noise(size: int, seed: str = "x") -> bytes:
    blocks = (hashlib.sha256(f"{seed}{i}".encode()).digest() for i in range(-(-size // 32)))
    return b"".join(blocks)[:size]


@pytest.fixture
def block_image(tmp_path: Path) -> tuple[Path, Path, Image]:
    """The raw image with its tree, the packed file, and its description."""
    raw = tmp_path / "firmware.raw"
    raw.write_bytes(noise(3 * MIB + 777))
    verity = append_verity(raw)
    return raw, tmp_path / "image", pack_file(raw, tmp_path / "image", kind="block", verity=verity)


@pytest.mark.parametrize("size", [1, BLOCK, BLOCK + 1, 128 * BLOCK, 128 * BLOCK + 1, 5 * MIB])
def test_the_hash_tree_is_the_one_that_veritysetup_makes_and_accepts(
    tmp_path: Path, size: int
) -> None:
    need("veritysetup", package="cryptsetup-bin", untried="its hash tree was not compared")
    raw = tmp_path / "raw"
    raw.write_bytes(noise(size))
    verity = append_verity(raw)
    offset = f"--hash-offset={hash_offset(verity)}"
    verify = ["veritysetup", "verify", raw, raw, verity.root_sha256, offset]
    done = subprocess.run(verify, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    theirs = tmp_path / "theirs"
    theirs.write_bytes(raw.read_bytes()[: hash_offset(verity)])
    made = subprocess.run(
        ["veritysetup", "format", f"--salt={verity.salt}", theirs, tmp_path / "tree"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert verity.root_sha256 in made.stdout
    tree = (tmp_path / "tree").read_bytes()
    assert raw.read_bytes()[hash_offset(verity) + BLOCK :] == tree[BLOCK:]
    with raw.open("r+b") as file:  # positive control of the verification
        file.seek(size - 1)
        file.write(bytes([raw.read_bytes()[size - 1] ^ 1]))
    assert subprocess.run(verify, capture_output=True).returncode != 0


def test_one_flipped_bit_of_the_data_is_found(block_image: tuple[Path, Path, Image]) -> None:
    raw, _, image = block_image
    assert image.verity is not None
    verify_blocks(raw, image.verity)
    for place in (0, hash_offset(image.verity) // 2, hash_offset(image.verity) - 1):
        flip(raw, place)
        with pytest.raises(Rejected) as refused:
            verify_blocks(raw, image.verity)
        assert refused.value.reason == "tampered-blocks"
        flip(raw, place)
    verify_blocks(raw, image.verity)


def flip(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))


def test_a_slot_gets_every_byte_and_is_what_was_signed(
    tmp_path: Path, block_image: tuple[Path, Path, Image]
) -> None:
    raw, packed, image = block_image
    slot = tmp_path / "slot"
    slot.write_bytes(noise(8 * MIB, "old"))
    install_blocks(image, range_reader(packed), slot, journal=tmp_path / "journal")
    assert slot.read_bytes()[: image.size] == raw.read_bytes()
    assert slot.stat().st_size == 8 * MIB
    verify_device(slot, image)
    flip(slot, image.size - 1)  # in the hash tree itself
    with pytest.raises(Rejected):
        verify_device(slot, image)


@pytest.mark.parametrize("cut_at", [0, 1, 2, 3])
def test_an_installation_that_was_cut_goes_on_and_fetches_no_group_twice(
    tmp_path: Path, block_image: tuple[Path, Path, Image], cut_at: int
) -> None:
    raw, packed, image = block_image
    slot, journal = tmp_path / "slot", tmp_path / "journal"
    slot.write_bytes(bytes(8 * MIB))
    fetched: list[int] = []
    read = range_reader(packed)

    def cut(offset: int, length: int) -> bytes:
        if len(fetched) == cut_at:
            raise Unavailable("the line broke")
        fetched.append(offset)
        return read(offset, length)

    with pytest.raises(Unavailable):
        install_blocks(image, cut, slot, journal=journal)
    install_blocks(image, lambda o, n: (fetched.append(o), read(o, n))[1], slot, journal=journal)
    assert len(fetched) == len(set(fetched)) == len(image.groups)
    assert slot.read_bytes()[: image.size] == raw.read_bytes()


def test_a_journal_that_lies_is_found_at_the_end_and_costs_one_more_transfer(
    tmp_path: Path, block_image: tuple[Path, Path, Image]
) -> None:
    _, packed, image = block_image
    slot, journal = tmp_path / "slot", tmp_path / "journal"
    slot.write_bytes(bytes(8 * MIB))
    install_blocks(image, range_reader(packed), slot, journal=journal)
    flip(slot, 100)
    with pytest.raises(Rejected) as refused:
        install_blocks(image, range_reader(packed), slot, journal=journal)
    assert refused.value.reason == "tampered-blocks"
    install_blocks(image, range_reader(packed), slot, journal=journal)
    verify_device(slot, image)


def test_a_tampered_group_is_refused_before_a_byte_of_it_is_written(
    tmp_path: Path, block_image: tuple[Path, Path, Image]
) -> None:
    _, packed, image = block_image
    flip(packed, packed.stat().st_size // 2)
    slot = tmp_path / "slot"
    slot.write_bytes(bytes(8 * MIB))
    with pytest.raises(Rejected) as refused:
        install_blocks(image, range_reader(packed), slot, journal=tmp_path / "journal")
    assert refused.value.reason == "tampered-image"
    written = sum(group.size for group in image.groups[: _bad_group(packed, image)])
    assert slot.read_bytes()[written:] == bytes(8 * MIB - written)


def _bad_group(packed: Path, image: Image) -> int:
    offset = 0
    for number, group in enumerate(image.groups):
        try:
            open_group(packed.read_bytes()[offset : offset + group.packed], group, image.codec)
        except Rejected:
            return number
        offset += group.packed
    raise AssertionError("no group is bad")


def test_a_slot_that_is_too_small_or_of_the_other_kind_is_refused_untouched(
    tmp_path: Path, block_image: tuple[Path, Path, Image]
) -> None:
    _, packed, image = block_image
    slot, journal = tmp_path / "slot", tmp_path / "journal"
    slot.write_bytes(bytes(MIB))
    with pytest.raises(Rejected) as refused:
        install_blocks(image, range_reader(packed), slot, journal=journal)
    assert refused.value.reason == "slot-too-small"
    assert slot.read_bytes() == bytes(MIB)
    with pytest.raises(Rejected, match="a directory"):
        install_image(image, range_reader(packed), tmp_path / "b", journal=journal)
    bundle = pack_file(packed, tmp_path / "bundle", kind="bundle")  # without a root hash
    with pytest.raises(Rejected, match="slot of blocks"):
        install_blocks(bundle, range_reader(tmp_path / "bundle"), slot, journal=journal)


def test_an_image_of_a_tree_reads_as_before_and_says_nothing_of_kinds(
    built: tuple[Path, Path, Image],
) -> None:
    encoded = encode_json(built[2])
    assert b"kind" not in encoded
    assert b"verity" not in encoded
    assert decode_json(encoded, Image, max_bytes=1 << 20) == built[2]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has loop devices")
def test_a_device_that_is_in_use_is_never_written(
    tmp_path: Path, block_image: tuple[Path, Path, Image]
) -> None:
    _, packed, image = block_image
    backing = tmp_path / "backing"
    backing.write_bytes(bytes(8 * MIB))
    subprocess.run(["mkfs.ext4", "-q", backing], check=True)
    find = ["losetup", "--find", "--show", backing]
    loop = Path(subprocess.run(find, capture_output=True, text=True, check=True).stdout.strip())
    try:
        place = tmp_path / "mounted"
        place.mkdir()
        subprocess.run(["mount", loop, place], check=True)
        try:
            with pytest.raises(Unavailable, match="busy"):
                install_blocks(image, range_reader(packed), loop, journal=tmp_path / "journal")
        finally:
            subprocess.run(["umount", place], check=True)
        install_blocks(image, range_reader(packed), loop, journal=tmp_path / "journal")
        verify_device(loop, image)
    finally:
        subprocess.run(["losetup", "--detach", loop], check=True)
