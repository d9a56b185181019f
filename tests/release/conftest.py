"""A small product, a vendor, and a release that is built."""

import shutil
from pathlib import Path

import pytest
from tests.release.workshop import APP, EXAMPLE, NOW, order

from limpet.release import (
    Built,
    build_release,
)
from limpet.vendor.home import Home, create


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A small copy, so that a test may spoil it."""
    copy = tmp_path / "product"
    (copy / "app" / "thermostat").mkdir(parents=True)
    shutil.copy(EXAMPLE / "product.toml", copy)
    (copy / "app" / "thermostat" / "__init__.py").write_text(APP)
    return copy


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create(tmp_path / "vendor", EXAMPLE, now=NOW, unsafe_without_gate=True)


@pytest.fixture
def built(product: Path, home: Home, tmp_path: Path) -> Built:
    return build_release(order(product, home), tmp_path / "out")
