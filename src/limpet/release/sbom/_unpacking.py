"""From a release's image file back to the firmware tree, to look at what is really in it.

Owns that. Every group is verified on the way, as on a device. Runs nothing of what it unpacks.
"""

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.firmware.image import group_reader, range_reader
from limpet.firmware.installation import install_image
from limpet.release.sbom._component import Component
from limpet.release.sbom._system import list_top, load_system
from limpet.wire.release import Image

__all__ = ["Unpacked", "unpack_image"]

SECONDS = 600.0
_TOPS = (
    "app", "firmware.json", "interface.json", "packages", "product.toml", "runtime", "trust",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What an image holds."""

    tree: Path
    system: Iterable[Component] | None  # as `load_system`
    around: tuple[str, ...] = ()  # what else lies at the top of a block image's file system


def unpack_image(file: Path, image: Image, place: Path) -> Unpacked:
    """Unpack `file`, which `image` describes, below the empty directory `place`.

    Raises `Rejected("tampered-image" | "malformed")`, and `Unavailable` for what can't be looked
    into: a bundle, or a block image that is no squashfs.
    """
    read = range_reader(file)
    tree = place / "tree"
    if image.kind == "tree":
        install_image(image, read, tree, journal=place / "journal")
        return Unpacked(tree, ())
    if image.kind == "bundle":
        raise Unavailable(
            f"{file} is a bundle, which a packer made", hint="compare the block image that is in it"
        )
    raw = place / "image.raw"
    groups = group_reader(image, read)
    with raw.open("xb") as out:
        for number in range(len(image.groups)):
            out.write(groups(number))
    system = load_system(raw)
    if system is None:
        raise Unavailable(f"{file} holds no squashfs", hint="nothing of it can be compared")
    _unsquash(raw, tree)
    return Unpacked(tree, system, tuple(sorted(set(list_top(raw)) - set(_TOPS))))


def _unsquash(raw: Path, tree: Path) -> None:
    if shutil.which("unsquashfs") is None:
        hint = "Debian: apt-get install squashfs-tools"
        raise Unavailable("cannot run unsquashfs", hint=hint)
    command = ("unsquashfs", "-no-progress", "-no-xattrs", "-quiet", "-d", str(tree), str(raw))
    try:
        done = subprocess.run(
            (*command, *_TOPS),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"cannot run unsquashfs: {error}") from error
    if done.returncode != 0 or not (tree / "firmware.json").is_file():
        said = done.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")[-200:]
        raise Rejected("malformed", f"no firmware could be unpacked: {said}")
