"""The sound product, made once, and copies of it to spoil."""

from pathlib import Path

import pytest
from tests.release.gate.bench import Bench
from tests.release.workshop import EXAMPLE, NOW

from limpet.vendor.home import create


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Nobody changes this one."""
    work = tmp_path_factory.mktemp("gate")
    return Bench.found(work, create(work / "vendor", EXAMPLE, now=NOW, unsafe_without_gate=True))


@pytest.fixture
def bench(sound: Bench, tmp_path: Path) -> Bench:
    """A copy, so that a test may spoil it."""
    return sound.copy(tmp_path / "bench")
