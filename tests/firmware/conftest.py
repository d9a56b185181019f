"""An image that is built once, and a slot with old firmware in it."""

from pathlib import Path

import pytest
from tests.firmware.images import make_tree

from limpet.firmware.image import build_image
from limpet.wire.release import Image


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Image]:
    work = tmp_path_factory.mktemp("image")
    source = make_tree(work / "tree")
    return source, work / "image.img", build_image(source, work / "image.img")


@pytest.fixture
def slots(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "old").write_text("old firmware")
    return tmp_path
