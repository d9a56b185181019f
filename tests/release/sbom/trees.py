"""Firmware trees with packages: those of the environment that runs the tests, as they lie there."""

import hashlib
import json
import shutil
from datetime import UTC, datetime
from importlib.metadata import Distribution, distribution
from pathlib import Path

from tests.release.workshop import APP, EXAMPLE

from limpet.crypto.suites import bundled_suites, load_suite
from limpet.firmware.description import FirmwareDescription
from limpet.release import assemble_tree
from limpet.vendor.home import Home
from limpet.wire.release import Image

DEVICE = (
    "cffi", "cryptography", "h11", "msgspec", "pycparser", "securesystemslib", "tuf", "urllib3",
    "zstandard",
)  # fmt: skip
MADE = datetime(2026, 11, 1, 12, tzinfo=UTC)


def make_tree(
    home: Home, place: Path, *packages: str, suite: int = 2, version: str = "1.0.0"
) -> Path:
    """The tree `place` of the example product with `packages` in it."""
    product = place.with_name(f"{place.name}-product")
    (product / "app" / "thermostat").mkdir(parents=True)
    shutil.copy(EXAMPLE / "product.toml", product)
    (product / "app" / "thermostat" / "__init__.py").write_text(APP)
    file = bundled_suites()[suite]
    description = FirmwareDescription(
        model="thermostat",
        hardware_revisions=("A1", "A2"),
        version=version,
        security_counter=1,
        interface_version=1,
        built_at=MADE,
        suite=load_suite(file).id,
        source_commit="0123abcd",
    )
    assemble_tree(product, home.trust, description, place, suite=file)
    if packages:
        add_packages(place, *packages)
    return place


def add_packages(tree: Path, *packages: str) -> None:
    """Put what is installed under these names into `tree`, as a build does: without RECORD."""
    place = tree / "packages"
    place.mkdir(exist_ok=True)
    listed = []
    for name in sorted(packages):
        one = distribution(name)
        info = _copy(one, place)
        wheel = (info / "WHEEL").read_text()
        tag = next(line.split()[1] for line in wheel.splitlines() if line.startswith("Tag:"))
        file = f"{name}-{one.version}-{tag}.whl"
        digest = hashlib.sha256(file.encode()).hexdigest()
        listed.append({"name": name, "version": one.version, "wheel": file, "sha256": digest})
    (place / "packages.json").write_text(json.dumps(listed, indent=1))


def _copy(one: Distribution, place: Path) -> Path:
    info = ""
    for file in one.files or ():
        if file.suffix == ".pyc" or any(
            part.startswith((".", "__pycache__")) for part in file.parts
        ):
            continue
        if ".dist-info" in file.parts[0]:
            info = file.parts[0]
            if file.name in ("RECORD", "INSTALLER", "REQUESTED"):
                continue
        target = place / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(file.locate()), target)
    return place / info


def any_image(digest: str = "ab" * 32, *, tree_sha256: str = "00" * 32) -> Image:
    """An image that nobody looks into."""
    path = f"images/{digest}.img"
    return Image(path=path, packed=1, size=1, codec="zstd", groups=(), tree_sha256=tree_sha256)
