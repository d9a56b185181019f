"""A firmware tree with the device's packages, and its bill of materials: made once."""

from pathlib import Path

import pytest
from tests.release.sbom.trees import DEVICE, any_image, make_tree
from tests.release.workshop import EXAMPLE, NOW

from limpet.firmware.tree import digest_tree
from limpet.release.sbom import make_sbom
from limpet.vendor.home import Home, create
from limpet.wire.release import Image


@pytest.fixture(scope="session")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return create(tmp_path_factory.mktemp("sbom-vendor") / "vendor", EXAMPLE, now=NOW)


@pytest.fixture(scope="session")
def tree(maker: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never write to it: copy it."""
    return make_tree(maker, tmp_path_factory.mktemp("sbom-tree") / "tree", *DEVICE)


@pytest.fixture(scope="session")
def image(tree: Path) -> Image:
    """As if it had been packed, which takes a minute."""
    return any_image("cd" * 32, tree_sha256=digest_tree(tree))


@pytest.fixture(scope="session")
def written(tree: Path, image: Image) -> bytes:
    return make_sbom(tree, image)
