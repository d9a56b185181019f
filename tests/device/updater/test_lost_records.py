"""Cache and records emptied, damaged, removed or made to be something else, file by file."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from tests.device.updater.attacks import Case
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import RELEASES, ROLLOUT, RepositorySimulator

from limpet.device.updater.check import Outcome

CACHED = (
    "root.json",
    "root_history",
    "root_history/1.root.json",
    "timestamp.json",
    "snapshot.json",
    "targets.json",
    f"{RELEASES.replace('/', '%2F')}.json",
    f"{ROLLOUT.replace('/', '%2F')}.json",
)


def _empty(path: Path) -> None:
    _remove(path)
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    _remove(path)
    path.write_bytes(b"\xff{]" * 5000)


def _half(path: Path) -> None:
    data = path.read_bytes() if path.is_file() else b"half"
    _remove(path)
    path.write_bytes(data[: len(data) // 2])


def _directory(path: Path) -> None:
    _remove(path)
    (path / "in the way").mkdir(parents=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


DAMAGES: tuple[Callable[[Path], None], ...] = (_empty, _garbage, _half, _directory, _remove)


@pytest.fixture
def case(bench: Bench, repository: RepositorySimulator, work: Path) -> Case:
    return Case(bench, repository, work)


@pytest.mark.parametrize("name", CACHED)
def test_a_damaged_cache_file_costs_nothing(case: Case, name: str) -> None:
    """Whatever became of it, the next check finds its way, and what was seen is not forgotten."""
    old = case.record()
    case.repository.publish()
    for damage in DAMAGES:
        assert case.bench.check().outcome is Outcome.NOTHING
        damage(case.bench.root / "updater" / "metadata" / name)
        new = case.record()
        case.replay(old)
        result = case.bench.check()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, "rollback"), damage
        case.replay(new)
        result = case.bench.check()
        assert result.outcome is Outcome.NOTHING, (damage, result)
    case.offer(case.sign())
    assert case.bench.check().outcome is Outcome.READY


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_target_in_the_cache_costs_nothing(
    case: Case, damage: Callable[[Path], None]
) -> None:
    case.offer(case.sign(), admitted_ppm=0)
    assert case.bench.check().reason == "phase-in"
    files = sorted((case.bench.root / "updater" / "targets").iterdir())
    assert len(files) == 2, "plan and manifest"
    for file in files:
        damage(file)
    case.offer()
    assert case.bench.check().outcome is Outcome.READY


@pytest.mark.parametrize("damage", [_empty, _garbage, _half, _remove])
def test_a_lost_floor_leaves_the_cache_and_a_lost_cache_the_floor(
    case: Case, damage: Callable[[Path], None]
) -> None:
    old = case.record()
    case.repository.publish()
    for name in ("floor.json", "metadata"):
        case.bench.check()
        if name == "metadata":
            _remove(case.bench.root / "updater" / name)
        else:
            damage(case.bench.root / "updater" / name)
        new = case.record()
        case.replay(old)
        case.bench.logged.clear()
        result = case.bench.check()
        assert (result.outcome, result.reason) == (Outcome.REFUSED, "rollback"), name
        told = {event for event, _, _ in case.bench.logged}
        if name != "metadata" and damage is not _remove:
            assert "floor-damaged" in told
        case.replay(new)


def test_without_any_record_older_metadata_passes_and_older_firmware_does_not(case: Case) -> None:
    """A limit, and what holds beyond it: the device is as new as on its first day, no newer."""
    older = case.sign("0.9.0")
    case.offer(older)
    old = case.record()
    case.repository.publish()
    case.bench.check()
    for name in ("metadata", "targets", "floor.json", "progress.json"):
        _remove(case.bench.root / "updater" / name)
    case.replay(old)
    result = case.bench.check()
    assert (result.outcome, result.reason) == (Outcome.REFUSED, "rollback")
    assert "older than 1.0.0 that runs" in result.detail, "not by the metadata, which passed"
    case.bench.assert_untouched()
    # Metadata that had ended when this firmware was built does not pass, whatever the clock says.
    _remove(case.bench.root / "updater" / "metadata")
    _remove(case.bench.root / "updater" / "floor.json")
    built = case.bench.device().description.built_at
    case.bench.wall = built - timedelta(days=1000)
    case.repository.timestamp.expires = built - timedelta(seconds=1)
    case.repository.publish()
    assert case.bench.check().reason == "expired-metadata"
