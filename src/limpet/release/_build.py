"""Building: a product's directory becomes `image.img` and `manifest.json`.

Owns the manifest's making. Signs nothing and decides nothing about a rollout but
its bounds. Two builds of the same sources with the same `built_at` are equal.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import msgspec

from limpet.crypto.suites import load_suite, suite_file_in
from limpet.errors import Rejected, Unavailable, naming
from limpet.firmware.codec import LEVEL
from limpet.firmware.description import FirmwareDescription
from limpet.firmware.interface import pack_interface
from limpet.product import PRODUCT_FILE, Product, load_product
from limpet.release._bill import add_bill, sbom_file, verify_bill
from limpet.release._bytecode import add_byte_code
from limpet.release._delta import OldRelease, Progress, delta_file, make_delta
from limpet.release._forms import Form, make_image
from limpet.release._interface import describe_interface
from limpet.release._record import digest_record, record_file, verify_record
from limpet.release._tree import assemble_tree
from limpet.release.packages import THIS_PYTHON, PackageOrder, add_packages
from limpet.storage import make_directory, read_bounded, write_atomic
from limpet.wire.codec import decode_json, encode_json
from limpet.wire.release import (
    MANIFEST_BYTES,
    MAX_DELTAS,
    Bounds,
    Delta,
    Image,
    ReleaseManifest,
)

__all__ = [
    "IMAGE_FILE",
    "MANIFEST_FILE",
    "METADATA_FILE",
    "SUPPORT_FILE",
    "BuildOrder",
    "Built",
    "build_release",
    "load_built",
    "load_manifest",
    "make_deltas",
]

IMAGE_FILE = "image.img"
MANIFEST_FILE = "manifest.json"
METADATA_FILE = "releases.json"
SUPPORT_FILE = "support.json"
_HASH_BYTES = 1 << 20
VERSION = re.compile(r"(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8})){2}", re.ASCII)
"""As `limpet.wire.release.Version`, here for a message that a person understands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOrder:
    """What to build. `hardware_revisions` empty: those of the product's design file."""

    product: Path  # directory of product.toml and app/
    trust: Path  # directory of root.json, device-root.pem, service-root.pem
    version: str
    security_counter: int
    interface_version: int
    bounds: Bounds
    built_at: datetime  # UTC, whole seconds
    minimum_version: str = "0.0.0"
    hardware_revisions: tuple[str, ...] = field(default=())
    source_commit: str = ""
    because: str = ""  # the security issue that requires a change of the interface
    after_support: bool = False
    form: Form = Form.TREE
    packer: Path | None = None  # a program; see limpet.release._forms
    level: int = LEVEL  # Zstandard's, of the image
    suite: Path | None = None  # a file; that of `trust`, or the first bundled one, by default
    delta_from: tuple[OldRelease, ...] = ()  # for devices that run these
    packages: PackageOrder | None = None  # None: the device's interpreter must have them


@dataclass(frozen=True, slots=True)
class Built:
    """A release on disk: the directory, and what its manifest says."""

    directory: Path
    manifest: ReleaseManifest
    manifest_sha256: str

    @property
    def image(self) -> Path:
        """The image's file."""
        return self.directory / IMAGE_FILE

    @property
    def sbom(self) -> Path | None:
        """The bill of materials, if the manifest names one."""
        return sbom_file(self.directory) if self.manifest.sbom else None

    @property
    def rights(self) -> Path | None:
        """The record of its processes, if the manifest names one."""
        return record_file(self.directory) if self.manifest.rights else None

    @property
    def deltas(self) -> tuple[Path, ...]:
        """The deltas' files, as the manifest names them."""
        return tuple(delta_file(self.directory, delta) for delta in self.manifest.deltas)


def _silent(doing: str) -> None:
    """Nobody watches."""


def build_release(order: BuildOrder, out: Path, progress: Progress = _silent) -> Built:
    """Build into the directory `out` (made if missing, never over another release).

    Raises `Rejected` for a bad product file, version or content, `Unavailable` for what is
    missing; then `out` holds no manifest.
    """
    if (out / MANIFEST_FILE).exists():
        raise Unavailable(f"{out} holds a release already", hint="choose another directory")
    if not VERSION.fullmatch(order.version):
        raise Rejected(
            "malformed", f"{order.version!a} is not a version", hint="three numbers, as 1.2.0"
        )
    design = load_product(order.product / PRODUCT_FILE)
    suite_file = order.suite or suite_file_in(order.trust)
    suite = load_suite(suite_file)
    description = FirmwareDescription(
        model=design.model.name,
        hardware_revisions=order.hardware_revisions or design.model.hardware_revisions,
        version=order.version,
        security_counter=order.security_counter,
        interface_version=order.interface_version,
        built_at=order.built_at,
        suite=suite.id,
        source_commit=order.source_commit,
    )
    _verify(description, FirmwareDescription)
    make_directory(out)
    work = Path(tempfile.mkdtemp(prefix=".build-", dir=out))
    try:
        assemble_tree(order.product, order.trust, description, work / "tree", suite=suite_file)
        document = _complete(order, design, work / "tree", record_file(out), progress)
        image = _make_image(order, work / "tree", out)
        bill = add_bill(work / "tree", image, out, packed=order.packer is not None)
    except OSError as error:
        raise Unavailable(f"cannot build in {out}: {(error.strerror or 'failed').lower()}") from (
            error
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    deltas = make_deltas(order.delta_from, image, out / IMAGE_FILE, progress)
    records = (bill, digest_record(out))
    manifest = _manifest(order, description, image, deltas, pack_interface(document), records)
    _verify(manifest, ReleaseManifest)
    write_atomic(out / MANIFEST_FILE, encode_json(manifest), mode=0o644)
    return load_built(out)


def _make_image(order: BuildOrder, tree: Path, out: Path) -> Image:
    at = int(order.built_at.timestamp())
    file = out / IMAGE_FILE
    return make_image(
        tree, file, form=order.form, packer=order.packer, built_at=at, level=order.level
    )


def _complete(
    order: BuildOrder, design: Product, tree: Path, rights: Path, progress: Progress
) -> bytes:
    """The packages that the order wants, and byte code for all; then the tree says what its
    interface is. For devices of another Python, whose byte code is another, there is none."""
    packages = order.packages
    if packages is not None:
        requires = design.app.requires
        add_packages(packages, order.product, tree, app_requires=requires, note=progress)
    if packages is None or packages.target.python == THIS_PYTHON:
        progress("compiling")
        add_byte_code(tree)
    if packages is None:
        return describe_interface(tree, rights)
    return describe_interface(tree, rights, runs_here=packages.target.is_this_machine)


def make_deltas(
    olds: Sequence[OldRelease], image: Image, file: Path, progress: Progress
) -> tuple[Delta, ...]:
    """Deltas to `image`, which lies in `file`: one for each different old image, as far as they
    are worth their bytes. Raises as `make_delta`, and `Rejected("too-large")` for too many."""
    if len(olds) > MAX_DELTAS:
        raise Rejected("too-large", f"a release names at most {MAX_DELTAS} old ones")
    made: dict[str, Delta] = {}
    for old in olds:
        tree = old.manifest.image.tree_sha256
        if tree not in made and tree != image.tree_sha256:
            delta = make_delta(old, image, file, progress).delta
            if delta is not None:
                made[tree] = delta
    return tuple(made.values())


def _manifest(
    order: BuildOrder,
    description: FirmwareDescription,
    image: Image,
    deltas: tuple[Delta, ...],
    interface: bytes,
    records: tuple[str, str],
) -> ReleaseManifest:
    return ReleaseManifest(
        model=description.model,
        hardware_revisions=description.hardware_revisions,
        version=description.version,
        security_counter=description.security_counter,
        interface_version=description.interface_version,
        minimum_version=order.minimum_version,
        built_at=description.built_at,
        suite=description.suite,
        source_commit=description.source_commit,
        image=image,
        deltas=deltas,
        bounds=order.bounds,
        interface=interface,
        because=order.because or msgspec.UNSET,
        after_support=order.after_support or msgspec.UNSET,
        sbom=records[0],
        rights=records[1],
    )


def load_built(out: Path) -> Built:
    """The release in `out`, whose image is the one of its manifest.

    Raises `Unavailable` if a file is missing, `Rejected("malformed" | "tampered-image")`.
    """
    if not (out / MANIFEST_FILE).is_file():
        raise Unavailable(
            f"there is no release in {out}", hint="make one: limpet release build … --out DIR"
        )
    data = read_bounded(out / MANIFEST_FILE, max_bytes=MANIFEST_BYTES)
    with naming(out / MANIFEST_FILE, hint="build the release again"):
        manifest = decode_json(data, ReleaseManifest, max_bytes=MANIFEST_BYTES)
    if manifest.image.path != f"images/{_hash_file(out / IMAGE_FILE)}.img":
        raise Rejected(
            "tampered-image",
            f"{out / IMAGE_FILE} is not the image of its manifest",
            hint="build it again",
        )
    verify_bill(out, manifest)
    verify_record(out, manifest)
    for delta in manifest.deltas:
        file = delta_file(out, delta)
        if delta.path != f"deltas/{_hash_file(file)}.delta":
            raise Rejected(
                "tampered-image", f"{file} is not the delta of its manifest", hint="build it again"
            )
    return Built(out, manifest, hashlib.sha256(data).hexdigest())


def load_manifest(path: Path) -> ReleaseManifest:
    """The manifest at `path`, a file or a release's directory. Raises as `load_built`."""
    file = path / MANIFEST_FILE if path.is_dir() else path
    if not file.is_file():
        raise Unavailable(f"there is no manifest {file}", hint="name a built release")
    with naming(file, hint="build the release again"):
        return decode_json(
            read_bounded(file, max_bytes=MANIFEST_BYTES), ReleaseManifest, max_bytes=MANIFEST_BYTES
        )


def _verify(value: FirmwareDescription | ReleaseManifest, kind: type[object]) -> None:
    """A struct made in code is not checked by msgspec; a device would refuse it."""
    try:
        msgspec.convert(msgspec.to_builtins(value), kind)
    except msgspec.ValidationError as error:
        raise Rejected("malformed", f"not a release: {error}") from error


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_HASH_BYTES):
                digest.update(block)
    except OSError as error:
        raise Unavailable(f"cannot read {path}: {os.strerror(error.errno or 0).lower()}") from error
    return digest.hexdigest()
