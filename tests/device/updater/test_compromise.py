"""Stolen keys, each alone, each family alone, and in pairs: the table of compromise.py, tried.

The thief also has the server, and signs everything: with the stolen keys where they are the true
ones, with keys of its own everywhere else. Where the table says that this is not enough, the
device refuses, and installs again once the vendor has replaced what was stolen.
"""

from datetime import timedelta
from itertools import chain, combinations
from pathlib import Path

import pytest
from tests.device.updater.attacks import Case
from tests.device.updater.bench import Bench
from tests.device.updater.compromise import HARMS, PAIRS, SINGLES, Harm, achieves
from tests.device.updater.simulator import MODEL, NOW, RepositorySimulator
from tests.device.updater.thief import ROLES, Thief, rotate

from limpet.device.updater.check import CheckResult, Outcome
from limpet.wire.rollout import Plan, PlanState

INSTALL, OFFER, FREEZE = HARMS
SETS = (*SINGLES, *PAIRS)
PUBLISHING = frozenset({"snapshot", "timestamp"})
"""Without both nobody publishes anything."""


@pytest.fixture
def case(bench: Bench, repository: RepositorySimulator, work: Path) -> Case:
    return Case(bench, repository, work)


def steal(case: Case, stolen: frozenset[str], harm: Harm, *, bold: bool = True) -> CheckResult:
    """Do all that these keys allow, and let the device look. A thief who is not `bold` leaves
    alone what others signed."""
    case.sign()
    repository = case.repository
    repository.plan = Plan(model=MODEL, state=PlanState.IDLE, issued_at=NOW)
    repository.publish()
    case.bench.check()
    if harm is FREEZE:
        thief = Thief(repository, stolen)
        case.bench.wall = NOW + timedelta(days=2)
        if "root" in stolen:
            thief.take_over()
        thief.renew(days=2)
        return case.bench.check()
    thief = Thief(repository, stolen, bold=bold)
    thief.take_over()
    case.offer(case.sign("6.6.6") if harm is INSTALL else case.release)
    return case.bench.check()


def names(value: object) -> str:
    if isinstance(value, frozenset):
        return "+".join(sorted(value)).replace(" ", "-")
    return getattr(value, "name", str(value))


@pytest.mark.parametrize("harm", HARMS, ids=names)
@pytest.mark.parametrize("stolen", SETS, ids=names)
def test_stolen_keys_are_worth_what_the_table_says(
    case: Case, stolen: frozenset[str], harm: Harm
) -> None:
    result = steal(case, stolen, harm)
    assert_worth(case, stolen, harm, result)
    if not achieves(stolen, harm) and "root" not in stolen:
        assert_recovers(case, stolen)


def assert_worth(case: Case, stolen: frozenset[str], harm: Harm, result: CheckResult) -> None:
    if not achieves(stolen, harm):
        reason = "expired-metadata" if harm is FREEZE else "bad-signature"
        case.bench.assert_refused(result, reason)
    elif harm is FREEZE:
        assert result.outcome is Outcome.NOTHING, result
    else:
        assert result.outcome is Outcome.READY, result
        assert result.available == ("6.6.6" if harm is INSTALL else "1.1.0")


def assert_recovers(case: Case, stolen: frozenset[str]) -> None:
    """The vendor replaces the stolen keys, offline, and offers a release."""
    case.end()
    rotate(case.repository, *{name.partition(" ")[0] for name in stolen})
    case.sign("2.0.0")
    case.offer()
    result = case.bench.check()
    assert result.outcome is Outcome.READY, result


@pytest.mark.slow
@pytest.mark.parametrize("harm", HARMS, ids=names)
def test_every_set_of_stolen_roles_is_worth_what_the_table_says(harm: Harm, tmp_path: Path) -> None:
    """All 63 sets: no three or four roles together do what no smaller set of the table does."""
    sets = chain.from_iterable(combinations(ROLES, count) for count in range(1, len(ROLES) + 1))
    for number, stolen in enumerate(map(frozenset, sets)):
        place = tmp_path / str(number)
        place.mkdir()
        repository = RepositorySimulator()
        case = Case(Bench(place / "device", repository), repository, place)
        result = steal(case, stolen, harm)
        if harm is FREEZE or result.outcome is Outcome.READY or not stolen >= PUBLISHING:
            assert_worth(case, stolen, harm, result)
            continue
        other = RepositorySimulator()
        modest = Case(Bench(place / "other", other), other, place)
        again = steal(modest, stolen, harm, bold=False)
        assert (again.outcome is Outcome.READY) == achieves(stolen, harm), (stolen, again)
