"""Our side of `./run bench deltas`, one step in a process of its own: make, apply, pack, unpack.

Owns nothing but the joining: it makes deltas by what `limpet release` uses and applies them by what
a device runs. What the manifest would say lies beside the delta, and is not counted.
"""

import os
import sys
from pathlib import Path

import msgspec

from limpet.firmware.delta import DeltaReader
from limpet.firmware.image import ReadGroup, group_reader, pack_file, range_reader
from limpet.firmware.old_image import OldDevice
from limpet.wire.release import Delta, Image


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
    out.with_suffix(".index").write_text(str(len(index)))


def apply(old: Path, new: Path, file: Path, out: Path) -> None:
    """By the device's reader, verified group by group, written and synced."""
    index = int(file.with_suffix(".index").read_text())
    image, delta = described(new, old, file, index)
    running = OldDevice(old, old.stat().st_size)
    reader = DeltaReader(delta, image, range_reader(file), running)
    write(image, reader.read, out)


def pack(new: Path, out: Path) -> None:
    """The whole image."""
    image = pack_file(new, out, kind="block")
    out.with_suffix(".json").write_bytes(msgspec.json.encode(image))


def unpack(new: Path, file: Path, out: Path) -> None:
    """The whole image, verified group by group, written and synced."""
    image = msgspec.json.decode(file.with_suffix(".json").read_bytes(), type=Image)
    write(image, group_reader(image, range_reader(file)), out)


def write(image: Image, read: ReadGroup, out: Path) -> None:
    """As a device does for a block slot, with one sync at the end."""
    with out.open("wb") as file:
        for number in range(len(image.groups)):
            file.write(read(number))
        file.flush()
        os.fsync(file.fileno())


def described(new: Path, old: Path, file: Path, index: int) -> tuple[Image, Delta]:
    """What the manifest would say."""
    import hashlib

    from limpet.wire.release import Group

    groups = []
    with new.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest = hashlib.sha256(piece).hexdigest()
            groups.append(Group(packed=1, size=len(piece), sha256=digest))
    with file.open("rb") as stream:
        head = stream.read(index)
    image = Image(
        path=f"images/{'0' * 64}.img",
        packed=len(groups),
        size=new.stat().st_size,
        codec="zstd",
        groups=tuple(groups),
        tree_sha256="0" * 64,
    )
    return image, Delta(
        base_version="1.0.0",
        base_tree_sha256="0" * 64,
        base_size=old.stat().st_size,
        path=f"deltas/{'0' * 64}.delta",
        size=file.stat().st_size,
        index_bytes=index,
        index_sha256=hashlib.sha256(head).hexdigest(),
    )


def _silent(doing: str) -> None:
    """Nobody watches."""


STEPS = {"make": make, "apply": apply, "pack": pack, "unpack": unpack}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
