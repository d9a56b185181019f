"""Whether a release trusts the vendor that publishes it.

Owns the comparison of the roots of trust in an image with those of a vendor's directory. A release
that was built with another vendor's `--trust` would fail its trial on every device, and one
without the gate's key would free every device from the gate.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from limpet.errors import Rejected, naming
from limpet.firmware.archive import ArchiveReader, Begin
from limpet.firmware.image import group_reader, range_reader
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

    Any root in `metadata` serves: a device reads on from the one that its firmware has. An image
    that is no tree says nothing here; its trial does. Raises `Rejected("wrong-vendor")`,
    `Rejected("tampered-image" | "malformed")`, `Unavailable`.
    """
    if image.kind != "tree":
        return
    with naming(file, hint="it is not the image of its manifest: build the release again"):
        found = dict(_read_trust(image, file))
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


def _read_trust(image: Image, file: Path) -> Iterator[tuple[str, bytes]]:
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
