"""Our side of `./run bench deltas`, one step in a process of its own: make, apply, pack, unpack.

Owns nothing but the joining: it makes deltas by what `limpet release` uses and applies them by
what a device runs: every group verified, written, synced and journalled, and all of it read back.
What the manifest would say lies beside the delta, and is not counted. The images are the bytes that
every tool gets, so without a hash tree: they are given to the writer as a kind that has none.
"""

import hashlib
import sys
from pathlib import Path

import msgspec

from limpet.firmware.blocks import install_blocks
from limpet.firmware.delta import DeltaReader
from limpet.firmware.image import pack_file, range_reader
from limpet.firmware.old_image import OldDevice
from limpet.wire.release import Delta, Group, Image, Verity

_NO_TREE = Verity(root_sha256="0" * 64, salt="0" * 64, data_blocks=1)


def main(words: list[str]) -> int:
    """One step."""
    step, *names = words
    paths = [Path(name) for name in names]
    STEPS[step](*paths)
    return 0


def make(old: Path, new: Path, out: Path) -> None:
    """The delta, without the packing of the whole image, which a build does anyhow."""
    from limpet.release._delta import encode_streams

    index, segments = encode_streams((old, new), [1 << 20] * (new.stat().st_size >> 20), _silent)
    out.write_bytes(b"".join((index, *segments)))
    delta = describe_delta(old, out, len(index))
    _json(out).write_bytes(msgspec.json.encode((describe_image(new), delta)))


def apply(old: Path, _: Path, file: Path, slot: Path) -> None:
    """By the device's reader and writer."""
    image, delta = msgspec.json.decode(_json(file).read_bytes(), type=tuple[Image, Delta])
    running = OldDevice(old, old.stat().st_size)
    reader = DeltaReader(delta, image, range_reader(file), running)
    install_blocks(
        image, _no_range, slot, journal=file.with_suffix(".journal"), read_group=reader.read
    )


def pack(new: Path, out: Path) -> None:
    """The whole image."""
    image = pack_file(new, out, kind="bundle", verity=_NO_TREE)
    _json(out).write_bytes(msgspec.json.encode(image))


def unpack(_: Path, file: Path, slot: Path) -> None:
    """By the device's reader and writer."""
    image = msgspec.json.decode(_json(file).read_bytes(), type=Image)
    install_blocks(image, range_reader(file), slot, journal=file.with_suffix(".journal"))


def describe_image(new: Path) -> Image:
    """What the manifest would say of the whole image, which nobody fetches here."""
    groups = []
    with new.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest = hashlib.sha256(piece).hexdigest()
            groups.append(Group(packed=1, size=len(piece), sha256=digest))
    return Image(
        path=f"images/{'0' * 64}.img",
        packed=len(groups),
        size=new.stat().st_size,
        codec="zstd",
        groups=tuple(groups),
        tree_sha256="0" * 64,
        kind="bundle",
        verity=_NO_TREE,
    )


def describe_delta(old: Path, file: Path, index: int) -> Delta:
    """What the manifest would say of the delta, whose first `index` bytes are its index."""
    with file.open("rb") as stream:
        head = stream.read(index)
    return Delta(
        base_version="1.0.0",
        base_tree_sha256="0" * 64,
        base_size=old.stat().st_size,
        path=f"deltas/{'0' * 64}.delta",
        size=file.stat().st_size,
        index_bytes=index,
        index_sha256=hashlib.sha256(head).hexdigest(),
    )


def _json(file: Path) -> Path:
    return file.with_suffix(".json")


def _no_range(offset: int, length: int) -> bytes:
    raise AssertionError(f"nobody asks for {length} bytes of the whole image")


def _silent(doing: str) -> None:
    """Nobody watches."""


STEPS = {"make": make, "apply": apply, "pack": pack, "unpack": unpack}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
