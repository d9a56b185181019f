"""One device and one vendor for a test, and a place to build releases in."""

from pathlib import Path

import pytest
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import (
    RepositorySimulator,
)


@pytest.fixture
def repository() -> RepositorySimulator:
    return RepositorySimulator()


@pytest.fixture
def bench(tmp_path: Path, repository: RepositorySimulator) -> Bench:
    return Bench(tmp_path / "device", repository)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"
