"""Whether a release trusts the vendor that publishes it.

Owns the comparison of the roots of trust in an image with those of a vendor's directory. A release
that was built with another vendor's `--trust` would fail its trial on every device, and one
without the gate's key would free every device from the gate.
"""

import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from limpet.errors import Rejected, naming
from limpet.firmware.archive import ArchiveReader, Begin
from limpet.firmware.description import DESCRIPTION_FILE
from limpet.firmware.image import group_reader, range_reader
from limpet.release._squashfs import extract, is_squashfs, list_top, read_file
from limpet.release._tree import TRUST
from limpet.storage import read_bounded
from limpet.wire.attestation import GATE_KEYS_FILE
from limpet.wire.metadata import ROOT_BYTES
from limpet.wire.release import Image

__all__ = ["verify_anchors"]

_ROOT = "root.json"
_KNOWN = (*TRUST, GATE_KEYS_FILE)
_WORDS = {
    _ROOT: "its root.json is none of this vendor's",
    "device-root.pem": "it trusts another device root",
    "service-root.pem": "it trusts another service's root",
    GATE_KEYS_FILE: "it does not know this vendor's gate",
}


def verify_anchors(image: Image, file: Path, *, trust: Path, metadata: Path) -> None:
    """That the image in `file` trusts what the directory `trust` holds, and a published root.

    Any root in `metadata` serves: a device reads on from the one that its firmware has. Looked into
    are a tree, a squashfs, and each squashfs of a firmware in a bundle of RAUC's, whoever signed
    it; another image says nothing here, its trial does. Raises `Rejected("wrong-vendor")`,
    `Rejected("tampered-image" | "malformed")`, `Unavailable`, also without squashfs-tools.
    """
    with naming(file, hint="it is not the image of its manifest: build the release again"):
        for found in _read_trusts(image, file):
            _verify(found, file, trust=trust, metadata=metadata)


def _verify(found: Mapping[str, bytes], file: Path, *, trust: Path, metadata: Path) -> None:
    for name in _KNOWN:
        if name == _ROOT:
            roots: Collection[bytes | None] = _read_all(metadata, "*.root.json")
        else:
            roots = _read_all(trust, name) or (None,)
        if found.get(name) not in roots:
            raise Rejected(
                "wrong-vendor",
                f"{file.parent} was built for another vendor: {_WORDS[name]}",
                hint="build it with --trust of this vendor: limpet release build … --trust DIR",
            )


def _read_all(directory: Path, pattern: str) -> list[bytes]:
    return [read_bounded(path, max_bytes=ROOT_BYTES) for path in directory.glob(pattern)]


def _read_trusts(image: Image, file: Path) -> Iterator[Mapping[str, bytes]]:
    """The roots of trust in each firmware that the image holds."""
    if image.kind == "tree":
        yield dict(_read_tree(image, file))
        return
    with tempfile.TemporaryDirectory(prefix="limpet-anchors-") as work:
        raw, read = Path(work) / "image.raw", group_reader(image, range_reader(file))
        with raw.open("xb") as out:
            for number in range(len(image.groups)):
                out.write(read(number))
        for one in _file_systems(raw, Path(work) / "inside", bundle=image.kind == "bundle"):
            yield {name: data for name in _KNOWN if (data := read_file(one, f"trust/{name}"))}


def _file_systems(raw: Path, inside: Path, *, bundle: bool) -> Iterator[Path]:
    """The squashfs that a slot may get of `raw`; in a bundle those that hold a firmware."""
    if not is_squashfs(raw):
        return
    if not bundle:
        yield raw
        return
    extract(raw, inside)
    for one in sorted(inside.iterdir()):
        plain = not one.is_symlink() and one.is_file()
        if plain and is_squashfs(one) and DESCRIPTION_FILE in list_top(one):
            yield one


def _read_tree(image: Image, file: Path) -> Iterator[tuple[str, bytes]]:
    reader, read = ArchiveReader(), group_reader(image, range_reader(file))
    name, parts = "", bytearray()
    for number in range(len(image.groups)):
        for event in reader.feed(read(number)):
            if isinstance(event, Begin):
                if name:
                    yield name, bytes(parts)
                folder, _, name = event.entry.name.rpartition("/")
                name, parts = (name if folder == "trust" else ""), bytearray()
            elif name and len(parts) <= ROOT_BYTES:
                parts += event.data
    if name:
        yield name, bytes(parts)
