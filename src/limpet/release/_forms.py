"""The form in which a release reaches a slot: a tree, a block image, a bundle for RAUC.

Owns the making of the last two from the assembled tree, by programs of the build machine: a file
system with dm-verity's hash tree behind it, and what a vendor's own packer makes of that.
"""

import enum
import os
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.firmware.codec import LEVEL
from limpet.firmware.image import build_image, pack_file
from limpet.firmware.verity import append_verity
from limpet.release._tools import run_tool, words_of
from limpet.wire.release import Image

__all__ = ["Form", "make_image"]

PACK_SECONDS = 3600.0
_SQUASHFS = ("-all-root", "-noappend", "-no-xattrs", "-no-progress", "-quiet")
# What is compressed inside ruins deltas; the groups of an image are compressed on their way.
_PLAIN = ("-noI", "-noD", "-noF", "-noX")


class Form(enum.Enum):
    """What a manifest calls the kind of its image."""

    TREE = "tree"
    BLOCK = "block"
    BUNDLE = "bundle"


def make_image(
    tree: Path, out: Path, *, form: Form, packer: Path | None, built_at: int, level: int = LEVEL
) -> Image:
    """Make the image file `out` of the assembled `tree`.

    `packer` is run as `PACKER INPUT OUTPUT`: for a block image with the tree as INPUT, instead of
    mksquashfs; for a bundle with the block image. `built_at` (seconds since 1970) dates files,
    `level` is Zstandard's.
    Raises `Unavailable` for a program that is missing, `Rejected("packer-failed")`.
    """
    if form is Form.TREE:
        return build_image(tree, out, level=level)
    raw = tree.with_name("image.raw")
    if form is Form.BLOCK and packer is not None:
        _run((str(packer.absolute()), str(tree), str(raw)), raw)
    else:
        _set_modes(tree)
        dates = ("-all-time", str(built_at), "-mkfs-time", str(built_at))
        _run(("mksquashfs", str(tree), str(raw), *_SQUASHFS, *_PLAIN, *dates), raw)
    verity = append_verity(raw)
    if form is Form.BLOCK:
        return pack_file(raw, out, kind="block", verity=verity, level=level)
    if packer is None:
        raise Unavailable("a bundle needs a packer", hint="--packer PROGRAM, see docs/rauc.md")
    bundle = tree.with_name("image.bundle")
    _run((str(packer.absolute()), str(raw), str(bundle)), bundle)
    return pack_file(bundle, out, kind="bundle", verity=verity, level=level)


def _set_modes(tree: Path) -> None:
    """The modes that a slot has, whatever the umask of the build was."""
    for path in (tree, *tree.rglob("*")):
        executable = path.is_dir() or os.access(path, os.X_OK)
        path.chmod(0o755 if executable else 0o644)


def _run(command: tuple[str, ...], made: Path) -> None:
    hint = "Debian: apt-get install squashfs-tools" if command[0] == "mksquashfs" else ""
    done = run_tool(command, seconds=PACK_SECONDS, hint=hint)
    if done.returncode != 0 or not made.is_file():
        message = f"{Path(command[0]).name} made no image: {words_of(done)}"
        raise Rejected("packer-failed", message)
