"""Each kind of file, bad in each way: a named reason, nothing half-done, the old firmware runs.

And the end of it: once the files are sound again, the same device installs the next release.
"""

from pathlib import Path

import pytest
from tests.device.updater.attacks import EVENTS, Case
from tests.device.updater.bad_input import CELLS, KINDS, WAITS, Cell, Kind, mend
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import RepositorySimulator

from limpet.device.updater.check import Outcome
from limpet.firmware.tree import digest_tree


@pytest.fixture
def case(bench: Bench, repository: RepositorySimulator, work: Path) -> Case:
    return Case(bench, repository, work)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.kind.name} {cell.way}")
def test_a_bad_file_has_a_named_reason_and_leaves_the_device_as_it_was(
    case: Case, cell: Cell
) -> None:
    cell.kind.before(case)
    sound = case.record()
    cell.deed(case)
    records = case.boot_records()
    result, status = case.check()
    assert result.reason == cell.reason, result
    if not cell.reason:
        assert result.outcome is Outcome.READY
        assert case.release is not None
        signed = case.work / f"tree-{case.release.version}"
        assert digest_tree(case.bench.root / "slots" / "b") == digest_tree(signed)
        return
    waits = cell.reason in WAITS
    assert result.outcome is (Outcome.UNAVAILABLE if waits else Outcome.REFUSED)
    told = [text for event, text, _ in case.bench.logged if event == EVENTS[result.outcome]]
    assert told[-1].startswith(f"{cell.reason}: ")
    assert told[-1].isprintable()
    assert status.reason.startswith(f"{cell.reason}: ")
    assert case.boot_records() == records
    case.bench.assert_untouched()
    assert not (case.bench.root / "slots" / "b").exists()
    mend(case, sound, cell.kind)
    assert case.bench.check().outcome is Outcome.READY, "the vendor has mended it"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_same_file_unchanged_is_installed(case: Case, kind: Kind) -> None:
    kind.before(case)
    assert any(
        name.startswith(kind.prefix) and name.endswith(kind.suffix)
        for name in case.repository.files
    )
    assert case.bench.check().outcome is Outcome.READY
