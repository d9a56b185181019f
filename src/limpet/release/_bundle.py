"""A bundle of RAUC's, read: its manifest, and the one slot image that may be judged like a block.

Owns which bundles are so plain that their image is all that a device gets of them: one image, as it
lies, no hook, no handler, no other file. Whose signature is on it is asked elsewhere. Runs nothing.

A bundle is a squashfs, for the format `verity` its hash tree, a CMS signature (RFC 5652), and the
signature's length in 8 bytes. `plain` signs the squashfs, and its manifest is the file in it;
`verity` signs a manifest that lies in the signature (RAUC's reference, "Bundle Formats").
"""

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.errors import Rejected, Unavailable
from limpet.firmware.verity import append_verity, hash_offset
from limpet.release._squashfs import extract, is_squashfs
from limpet.storage import read_bounded
from limpet.wire.release import Verity

__all__ = [
    "BundleManifest",
    "ExtractBundle",
    "embedded_content",
    "open_bundle",
    "read_manifest",
    "unpack_unverified",
]

MANIFEST = "manifest.raucm"
_MANIFEST_BYTES = 64 << 10
_SIGNATURE_BYTES = 64 << 10  # RAUC reads no longer one
_LENGTH_BYTES = 8
_SHOWN = 6
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # RFC 5652, section 5.1
_WRITTEN_AS_IT_IS = (".img", ".squashfs")
"""By its name RAUC chooses how an image is written; others are unpacked, or their size changed."""
_KEYS: Mapping[str, frozenset[str]] = {
    "update": frozenset({"compatible", "version", "description", "build"}),
    "bundle": frozenset({"format", "verity-hash", "verity-salt", "verity-size"}),
    "image": frozenset({"filename", "sha256", "size"}),
}
"""What a manifest may say. All else may run a program of the bundle's, or write otherwise."""
_LINE = re.compile(r"(?P<key>[a-z0-9-]+)=(?P<value>[^\s\\](?:[^\t\r\n\\]*[^\s\\])?)", re.ASCII)
_GROUP = re.compile(r"\[(?P<name>[a-z0-9.-]+)\]", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}", re.ASCII)
_HINT = "only a bundle of one image is judged: docs/rauc.md#before-a-release"

ExtractBundle = Callable[[Path, Path], None]
"""`(bundle, directory)`: makes the directory of what the bundle holds."""


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """What the manifest of a plain enough bundle says."""

    compatible: str
    slot: str  # the class of the slots that its image is for: "rootfs"
    filename: str
    sha256: str
    size: int
    verity: bool  # the bundle's format; else it is `plain`


def unpack_unverified(bundle: Path, into: Path) -> None:
    """Make the directory `into` of what `bundle` holds, whoever signed it.

    Raises `Rejected("malformed")` for a file that is no bundle, `Unavailable`.
    """
    if not is_squashfs(bundle):
        raise Rejected("malformed", f"{bundle.name} is no bundle of RAUC's: it holds no squashfs")
    extract(bundle, into)


def open_bundle(
    bundle: Path, place: Path, *, verity: Verity | None, unpack: ExtractBundle
) -> tuple[BundleManifest, Path]:
    """What `bundle` says, and the file of its one image, which is the block image of `verity`.

    `place` is a directory to work in. Raises `Unavailable` for a bundle that is more than that
    image; `Rejected("malformed")`, `Rejected("tampered-image")` for an image that is not the one
    of the bundle's manifest and `Rejected("tampered-blocks")` for one that is not `verity`'s.
    """
    inside = place / "bundle"
    unpack(bundle, inside)
    signed = embedded_content(_signature(bundle))
    own = inside / MANIFEST
    if signed is None and (own.is_symlink() or not own.is_file()):
        raise Rejected("malformed", f"{bundle.name} has no {MANIFEST}")
    data = read_bounded(own, max_bytes=_MANIFEST_BYTES) if signed is None else signed
    manifest = read_manifest(data, verity=signed is not None)
    more = sorted({path.name for path in inside.iterdir()} - {MANIFEST, manifest.filename})
    if more:
        raise _inconclusive(f"there is more in this bundle than its image ({_shown(more)})")
    image = inside / manifest.filename
    if image.is_symlink() or not image.is_file():
        raise Rejected("malformed", f"{bundle.name} does not hold {manifest.filename}")
    with image.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if (image.stat().st_size, digest) != (manifest.size, manifest.sha256):
        raise Rejected(
            "tampered-image",
            f"{manifest.filename} is not the image of the bundle's own manifest",
            hint="RAUC would not write it: build it again",
        )
    _verify_blocks(image, verity, place / "again")
    return manifest, image


def read_manifest(data: bytes, *, verity: bool) -> BundleManifest:
    """What the manifest `data` says; `verity`: it lay in the signature.

    Raises `Rejected("malformed")` for one that RAUC would not read, and `Unavailable` for one that
    says more than which one image is for which slots.
    """
    groups = _groups(data)
    update, form = groups.pop("update", {}), groups.pop("bundle", {})
    if (form.get("format", "plain") == "verity") is not verity or form.get("format") == "crypt":
        raise _inconclusive(f"its format is {form.get('format', 'plain')}, unlike its signature")
    images = [name for name in groups if name.startswith("image.")]
    if len(images) != 1:
        raise _inconclusive(f"it holds {len(images)} images")
    slot, image = images[0].removeprefix("image."), groups.pop(images[0])
    if groups:
        raise _inconclusive(f"its manifest has [{next(iter(groups))}]")
    for name, said in (("update", update), ("bundle", form), ("image", image)):
        more = sorted(said.keys() - _KEYS[name])
        if more:
            raise _inconclusive(f"its manifest sets {more[0]} in [{name}]")
    filename, size, sha256 = (image.get(key, "") for key in ("filename", "size", "sha256"))
    if not _NAME.fullmatch(filename) or filename == MANIFEST:
        raise Rejected("malformed", f"its manifest names no image: {filename!a}")
    if not filename.endswith(_WRITTEN_AS_IT_IS):
        raise _inconclusive(f"RAUC may not write {filename} as it is, but by its ending")
    if not re.fullmatch("[0-9]{1,15}", size) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise Rejected("malformed", f"its manifest says neither size nor hash of {filename}")
    return BundleManifest(
        update.get("compatible", ""), slot, filename, sha256, int(size), verity=verity
    )


def _groups(data: bytes) -> dict[str, dict[str, str]]:
    """The groups of a key file (GLib's), if it is plainly written: what two readers could
    understand in two ways is not understood here."""
    groups: dict[str, dict[str, str]] = {}
    current: dict[str, str] | None = None
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        if (group := _GROUP.fullmatch(line)) and group["name"] not in groups:
            current = groups[group["name"]] = {}
        elif (
            (entry := _LINE.fullmatch(line)) and current is not None and entry["key"] not in current
        ):
            current[entry["key"]] = entry["value"]
        else:
            raise _inconclusive(f"line {number} of its manifest is not plain: {line[:60]!a}")
    return groups


def embedded_content(signature: bytes) -> bytes | None:
    """What the CMS `signature` signs, where that lies in it; None if it lies outside.

    Verifies nothing. Raises `Rejected("malformed")` for what is no signature in DER.
    """
    outer, more = _take(signature, 0x30)
    kind, rest = _take(outer, 0x06)
    if kind != _SIGNED_DATA or more:
        raise Rejected("malformed", "the bundle's signature is none")
    signed, _ = _take(_take(rest, 0xA0)[0], 0x30)
    for tag in (0x02, 0x31):  # version, digest algorithms
        _, signed = _take(signed, tag)
    _, content = _take(_take(signed, 0x30)[0], 0x06)
    return _take(_take(content, 0xA0)[0], 0x04)[0] if content else None


def _take(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The value of the first element of `data`, which has `tag`, and what follows it (X.690)."""
    if len(data) < 2 or data[0] != tag:
        raise Rejected("malformed", "the bundle's signature is none that can be read")
    length, begin = data[1], 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(data[2:begin], "big")
    if data[1] == 0x80 or len(data) < begin + length:
        raise Rejected("malformed", "the bundle's signature is cut, or not in DER")
    return data[begin : begin + length], data[begin + length :]


def _signature(bundle: Path) -> bytes:
    size = bundle.stat().st_size
    with bundle.open("rb") as file:
        file.seek(max(size - _LENGTH_BYTES, 0))
        length = int.from_bytes(file.read(_LENGTH_BYTES), "big")
        if not 0 < length <= min(_SIGNATURE_BYTES, size - _LENGTH_BYTES):
            raise Rejected("malformed", f"{bundle.name} is no bundle of RAUC's: it is not signed")
        file.seek(size - _LENGTH_BYTES - length)
        return file.read(length)


def _verify_blocks(image: Path, verity: Verity | None, again: Path) -> None:
    """That `image` is what limpet's build made of its data blocks, to the last byte: `verity` is
    what the device compares with what RAUC wrote."""
    shutil.copyfile(image, again)
    wanted = hash_offset(verity) if verity is not None else 0
    if 0 < wanted <= image.stat().st_size:
        with again.open("r+b") as file:
            file.truncate(wanted)
        if append_verity(again) == verity and _same(image, again):
            again.unlink()
            return
    raise Rejected(
        "tampered-blocks",
        f"{image.name} in the bundle is not the block image that the release was built from",
        hint="no device would start it: the packer must put in the file that it got, as it is",
    )


def _same(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        digests = (hashlib.file_digest(file, "sha256").digest() for file in (first, second))
        return next(digests) == next(digests)


def _inconclusive(why: str) -> Unavailable:
    return Unavailable(f"inconclusive: the gate cannot judge this bundle: {why}", hint=_HINT)


def _shown(names: list[str]) -> str:
    return ", ".join(ascii(name)[1:-1] for name in names[:_SHOWN]) + ", …" * (len(names) > _SHOWN)
