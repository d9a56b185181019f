"""Cache and records emptied, damaged, removed or made to be something else, file by file."""

import hashlib
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from tests.device.updater.attacks import Case
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import RELEASES, ROLLOUT, RepositorySimulator

from limpet.device.updater import records
from limpet.device.updater.check import Outcome
from limpet.device.updater.gated import Gate
from limpet.device.updater.progress import Progress, save_progress
from limpet.errors import Unavailable
from limpet.wire.attestation import ATTESTATION_BYTES

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


RECORDS = (
    "delta.json",
    "floor.json",
    "install.json",
    "progress.json",
    "rest.json",
    "settings/policy.json",
    "settings/postponed.json",
    "support.json",
    "transfers.json",
)


@pytest.mark.parametrize("name", RECORDS)
def test_no_record_that_cannot_be_read_ends_updates(case: Case, name: str) -> None:
    """A directory stands for a bad block: the kernel gives neither."""
    case.bench.check()
    _directory(case.bench.root / "updater" / name)
    case.offer(case.sign())
    assert case.bench.check().outcome is Outcome.READY


def test_a_record_that_cannot_be_read_for_another_reason_is_left_as_it_is(tmp_path: Path) -> None:
    """What passes (no right, no descriptor left) must not cost the record."""
    file = tmp_path / "progress.json"
    save_progress(file, Progress())
    refusal = Unavailable("cannot read it", reason="not-permitted")
    failing = mock.patch.object(records, "read_bounded", side_effect=refusal)
    with failing, pytest.raises(Unavailable):
        records.load_or_begin(file, Progress)
    assert records.load_or_begin(file, Progress) == (Progress(), "")
    assert [path.name for path in tmp_path.iterdir()] == ["progress.json"]


def test_a_damaged_word_of_the_gate_is_fetched_anew(tmp_path: Path) -> None:
    kept = tmp_path / "gate.json"
    for content in (b"x" * (ATTESTATION_BYTES + 1), b"{}"):
        kept.write_bytes(content)
        source = mock.Mock(get=mock.Mock(return_value=b"word"))
        gate = Gate((), source, kept)
        assert gate._read(hashlib.sha256(b"word").hexdigest()) == b"word"
        assert kept.read_bytes() == b"word"


def test_ten_releases_later_the_cache_holds_what_is_looked_at_and_no_more(case: Case) -> None:
    targets = case.bench.root / "updater" / "targets"
    for minor in range(10):
        case.sign(f"1.{minor + 1}.0")
        case.offer(admitted_ppm=0)
        assert case.bench.check().reason == "phase-in"
        assert len(list(targets.iterdir())) == 2, "plan and manifest"


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
