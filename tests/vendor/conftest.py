"""A fresh vendor for each test, copied from one that was made once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.vendor.rollout_bench import Bench, make_bench
from tests.vendor.workshop import Running, make_home, running

from limpet.vendor.home import Home, open_home


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Made once."""
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture
def home(template: Home, tmp_path: Path) -> Home:
    return open_home(shutil.copytree(template.root, tmp_path / "vendor"))


@pytest.fixture
def server(home: Home) -> Iterator[Running]:
    with running(home) as started:
        yield started


@pytest.fixture
def bench(home: Home, tmp_path: Path) -> Bench:
    return make_bench(home, tmp_path)
