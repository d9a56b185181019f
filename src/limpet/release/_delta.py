"""Deltas of a release: from each old one named, a file that makes the same image of what it left.

Owns the reading of the two images, and that no delta is handed out which was not applied once by
the very code that a device runs. Needs numpy, which nothing else does: it is loaded here only.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.firmware.delta import DeltaReader
from limpet.firmware.image import group_reader, range_reader
from limpet.firmware.old_image import OldDevice
from limpet.storage import sync_directory
from limpet.wire.release import Delta, Image, ReleaseManifest

__all__ = [
    "DeltaMade",
    "OldRelease",
    "delta_file",
    "encode_streams",
    "has_delta",
    "make_delta",
    "verify_kind",
]

WORTH = 0.9
"""A delta of more than this share of the whole image is not worth another file."""

Progress = Callable[[str], None]
"""Told in a few words what is being done."""


@dataclass(frozen=True, slots=True)
class OldRelease:
    """A release that devices may run: its manifest, and the file of its image."""

    manifest: ReleaseManifest
    image: Path


@dataclass(frozen=True, slots=True)
class DeltaMade:
    """A delta that was found to make the image; `delta` is None when it is not worth its bytes."""

    base_version: str
    size: int  # bytes
    delta: Delta | None


def delta_file(directory: Path, delta: Delta) -> Path:
    """Where the file of `delta` lies in a release's directory."""
    return directory / f"from-{delta.base_version}.delta"


def has_delta(kind: str, base: str) -> bool:
    """Whether an image of `kind` has deltas from one of the kind `base`."""
    return kind == base and kind != "bundle"


def verify_kind(base: ReleaseManifest, kind: str) -> None:
    """Raise `Rejected("not-a-base")` if an image of `kind` has no delta from the release `base`."""
    if not has_delta(kind, base.image.kind):
        raise Rejected(
            "not-a-base", f"a {kind} has no delta from the {base.image.kind} of {base.version}"
        )


def make_delta(old: OldRelease, image: Image, image_file: Path, progress: Progress) -> DeltaMade:
    """Make the delta from `old` to `image` beside `image_file`.

    Raises `Rejected("tampered-image" | "not-a-base")`, `Unavailable`.
    """
    base = old.manifest.image
    verify_kind(old.manifest, image.kind)
    try:
        with tempfile.TemporaryDirectory(prefix=".delta-", dir=image_file.parent) as work:
            before, after = Path(work) / "old", Path(work) / "new"
            progress(f"unpacking {old.manifest.version}")
            _unpack(base, old.image, before)
            _unpack(image, image_file, after)
            return _make(old, image, image_file.parent, (before, after), progress)
    except OSError as error:
        why = (error.strerror or "failed").lower()
        raise Unavailable(f"cannot make a delta in {image_file.parent}: {why}") from error


def _make(
    old: OldRelease, image: Image, out: Path, streams: tuple[Path, Path], progress: Progress
) -> DeltaMade:
    version, base = old.manifest.version, old.manifest.image
    index, segments = encode_streams(streams, [group.size for group in image.groups], progress)
    size = len(index) + sum(map(len, segments))
    if size > image.packed * WORTH:
        return DeltaMade(version, size, None)
    whole = hashlib.sha256()
    part = out / f".from-{version}.part"
    with part.open("wb") as file:
        for piece in (index, *segments):
            whole.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    delta = Delta(
        base_version=version,
        base_tree_sha256=base.tree_sha256,
        base_size=base.size,
        path=f"deltas/{whole.hexdigest()}.delta",
        size=size,
        index_bytes=len(index),
        index_sha256=hashlib.sha256(index).hexdigest(),
    )
    progress(f"applying the delta from {version}")
    try:
        _verify(delta, image, part, streams[0])
        part.replace(delta_file(out, delta))
    finally:
        part.unlink(missing_ok=True)
    sync_directory(out)
    return DeltaMade(version, size, delta)


def encode_streams(
    streams: tuple[Path, Path], groups: Sequence[int], progress: Progress
) -> tuple[bytes, list[bytes]]:
    """The index and the segments."""
    import numpy as np

    from limpet.release._matching import match_images
    from limpet.release._packing import index_bytes, pack_segments

    old, new = (np.fromfile(stream, dtype=np.uint8) for stream in streams)
    shown = -1

    def matching(done: int, total: int) -> None:
        nonlocal shown
        percent = 100 * done // max(total, 1)
        if percent > shown:
            shown = percent
            progress(f"comparing the images, {percent} %")

    matches = match_images(old, new, matching)
    packed, done = [], 0
    for segment in pack_segments(old, new, matches, groups, workers=os.cpu_count() or 1):
        packed.append(segment)
        done += segment.groups
        progress(f"packing what differs, {100 * done // len(groups)} %")
    return index_bytes(packed), [segment.data for segment in packed]


def _verify(delta: Delta, image: Image, file: Path, old: Path) -> None:
    """Apply it as a device does. Raises `Rejected("bad-delta")`: then the fault is ours."""
    running = OldDevice(old, delta.base_size)
    try:
        reader = DeltaReader(delta, image, range_reader(file), running)
        for number in range(len(image.groups)):
            reader.read(number)
    finally:
        running.close()


def _unpack(image: Image, packed: Path, out: Path) -> None:
    """The image's uncompressed stream, each group verified."""
    read = group_reader(image, range_reader(packed))
    with out.open("xb") as file:
        for number in range(len(image.groups)):
            file.write(read(number))
