"""From a release's image file back to the firmware tree, to look at what is really in it.

Owns that. Every group is verified on the way, as on a device. Runs nothing of what it unpacks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.firmware.image import group_reader, range_reader
from limpet.firmware.installation import install_image
from limpet.firmware.verity import hash_offset
from limpet.release._bundle import BundleManifest, ExtractBundle, open_bundle, unpack_unverified
from limpet.release._squashfs import content_end, extract, list_top
from limpet.release.sbom._component import Component
from limpet.release.sbom._system import load_system
from limpet.wire.release import Image

__all__ = ["Unpacked", "unpack_image"]

_READ_BYTES = 1 << 20
_TOPS = (
    "app", "firmware.json", "interface.json", "packages", "product.toml", "runtime", "trust",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What an image holds."""

    tree: Path
    system: Iterable[Component] | None  # as `load_system`
    around: tuple[str, ...] = ()  # what else lies at the top of a block image's file system
    bundle: BundleManifest | None = None  # of the bundle that the block image lay in


def unpack_image(
    file: Path, image: Image, place: Path, *, unpack_bundle: ExtractBundle = unpack_unverified
) -> Unpacked:
    """Unpack `file`, which `image` describes, below the empty directory `place`.

    Whose signature a bundle has is seen only by an `unpack_bundle` that looks. Raises
    `Rejected("tampered-image" | "tampered-blocks" | "malformed")`, and `Unavailable` for what can't
    be looked into: a block image that is no squashfs, a bundle that holds more than one image.
    """
    read = range_reader(file)
    tree = place / "tree"
    if image.kind == "tree":
        install_image(image, read, tree, journal=place / "journal")
        return Unpacked(tree, ())
    raw = place / f"image.{image.kind}"
    groups = group_reader(image, read)
    with raw.open("xb") as out:
        for number in range(len(image.groups)):
            out.write(groups(number))
    manifest = None
    if image.kind == "bundle":
        manifest, raw = open_bundle(raw, place, verity=image.verity, unpack=unpack_bundle)
    system = load_system(raw)
    if system is None:
        raise Unavailable(f"{file} holds no squashfs", hint="nothing of it can be compared")
    _verify_nothing_behind(raw, image)
    extract(raw, tree, _TOPS)
    if not (tree / "firmware.json").is_file():
        raise Rejected("malformed", f"{file} holds no firmware")
    around = tuple(sorted(set(list_top(raw)) - set(_TOPS)))
    return Unpacked(tree, system, around, manifest)


def _verify_nothing_behind(raw: Path, image: Image) -> None:
    """That between the file system's end and its hash tree nothing lies that a device gets."""
    with raw.open("rb") as file:
        left = file.seek(0, 2) if image.verity is None else hash_offset(image.verity)
        left -= file.seek(content_end(raw))
        if left < 0:
            raise Rejected("malformed", "the file system in this image is longer than the image")
        while left > 0 and (data := file.read(min(left, _READ_BYTES))):
            if data.strip(b"\0"):
                raise Unavailable(
                    "inconclusive: something lies behind the file system in this image",
                    hint="nobody could say what it is for: build the image without it",
                )
            left -= len(data)
