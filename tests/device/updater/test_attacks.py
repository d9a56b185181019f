"""Every attack of the tables: what the device does, logs, reports and shows; what keeps running.

Each has its control: the same steps without the deed install the release. And each ends: once the
vendor has its server back, the device installs what it offers, or the table says why not.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.device.updater.attack_tables import ATTACKS
from tests.device.updater.attacks import EVENTS, REPORTS, Attack, Case
from tests.device.updater.attacks_on_deltas import delta_offered
from tests.device.updater.bench import Bench
from tests.device.updater.simulator import RepositorySimulator

from limpet.device.link import messages as m
from limpet.device.updater.check import CheckResult, Outcome
from limpet.firmware.tree import digest_tree

BEFORE = tuple(dict.fromkeys(attack.before for attack in ATTACKS))
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


@pytest.fixture
def case(bench: Bench, repository: RepositorySimulator, work: Path) -> Case:
    return Case(bench, repository, work)


@every_attack
def test_an_attack_meets_its_answer_and_the_running_firmware_is_untouched(
    case: Case, attack: Attack
) -> None:
    attack.before(case)
    genuine, reports = case.record(), len(case.bench.reports())
    case.bench.logged.clear()
    attack.deed(case)
    records = case.boot_records()
    result, status = case.check()
    assert (result.outcome, result.reason) == (attack.outcome, attack.reason), result
    assert_told(case, result, status, since=reports)
    if attack.left is not None:
        assert_installed_as_signed(case, attack.left)
    if attack.outcome is Outcome.READY:
        return  # what the table calls a limit: the vendor's own signed firmware is installed
    assert case.boot_records() == records, "boot's record, byte by byte"
    case.bench.assert_untouched()
    assert not (case.bench.root / "slots" / "b").exists()
    case.bench.boot()
    assert (case.bench.slot, case.bench.version) == ("a", "1.0.0"), "and starts again"
    if attack.after is not None:
        assert_it_ends(case, attack, genuine)


def assert_installed_as_signed(case: Case, left: str) -> None:
    """By the image where the delta was left, and by it alone where it was not."""
    assert case.release is not None
    slots, asked = case.bench.root / "slots", case.repository.asked
    assert digest_tree(slots / "a") == case.bench.tree_before, "what runs is untouched"
    assert digest_tree(slots / "b") == digest_tree(case.work / f"tree-{case.release.version}")
    assert any(path.startswith("images/") for path in asked) == bool(left)
    said = [text for event, text, _ in case.bench.logged if event in ("delta-failed", "delta-left")]
    assert any(left in text for text in said) if left else not said, said
    case.bench.boot()
    assert (case.bench.slot, case.bench.version) == ("b", case.release.version)


def assert_told(case: Case, result: CheckResult, status: m.UpdateStatus, *, since: int) -> None:
    """Log, report and status say the same."""
    event, kind = EVENTS[result.outcome], REPORTS[result.outcome]
    lines = [text for name, text, _ in case.bench.logged if name == event]
    assert lines, case.bench.logged
    assert all(text.isprintable() and text.isascii() for text in lines)
    new = case.bench.reports()[since:]
    if kind is None:
        assert not [report for report in new if report.kind in REPORTS.values()]
    else:
        # Of a refusal that the vendor knows it is not told again.
        told = [r for r in case.bench.reports() if (r.kind, r.reason) == (kind, result.reason)]
        assert told
        assert told[-1].version == (result.available or None)
    assert status.running == "1.0.0"
    if result.reason:
        assert lines[-1].startswith(f"{result.reason}: ")
        assert status.reason.startswith(f"{result.reason}: ")
    assert status.state == ("held" if result.outcome is Outcome.HELD else status.state)


@pytest.mark.parametrize("before", BEFORE, ids=lambda before: before.__name__)
def test_the_same_steps_without_the_deed_install_the_release(
    case: Case, before: Callable[[Case], None]
) -> None:
    before(case)
    assert case.bench.check().outcome is Outcome.READY
    assert case.release is not None
    tree = case.work / f"tree-{case.release.version}"
    assert digest_tree(case.bench.root / "slots" / "b") == digest_tree(tree)
    by_delta = before is delta_offered
    assert any(path.startswith("images/") for path in case.repository.asked) != by_delta


def assert_it_ends(case: Case, attack: Attack, genuine: dict[str, bytes]) -> None:
    """The vendor has its server back: the device installs what it offers."""
    assert attack.after is not None
    case.repository.files |= {n: d for n, d in genuine.items() if n != "metadata/timestamp.json"}
    case.sign("2.0.0")
    attack.after(case)
    result = case.bench.check()
    assert result.outcome is Outcome.READY, result
    case.bench.boot()
    assert case.bench.version == "2.0.0"
