"""A vendor whose offline keys three people hold, made once and copied for each test."""

import shutil
from pathlib import Path

import pytest
from tests.release.ceremony.people import Person, shared_vendor

from limpet.vendor.home import Home, open_home


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("shared")
    shared_vendor(place)
    return place


@pytest.fixture
def place(_shared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_shared, tmp_path / "place"))


@pytest.fixture
def home(place: Path) -> Home:
    return open_home(place / "vendor")


@pytest.fixture
def first(place: Path) -> Person:
    return Person(place / "first")


@pytest.fixture
def second(place: Path) -> Person:
    return Person(place / "second")


@pytest.fixture
def third(place: Path) -> Person:
    return Person(place / "third")
