"""The checks of the vendor's watch over a record that was made well, and over bad ones."""

from collections.abc import Mapping
from datetime import timedelta

import pytest
from tests.audit import specimens as s
from tests.audit.specimens import NOW
from tests.audit.test_other_checks import hosted, run

from limpet.audit import Verdict

WATCH_FAULTS: Mapping[str, dict[str, object]] = {
    "of the future": {"looked_at": NOW + timedelta(days=2)},
    "inconclusive": {"conclusive": False, "troubles": ("sbom-missing",)},
    "without data": {"digest": None, "ecosystems": ()},
    "in data of last month": {"ecosystems": (s.ecosystem(imported_at=NOW - timedelta(days=10)),)},
    "in a dump that was old": {"ecosystems": (s.ecosystem(newest=NOW - timedelta(days=32)),)},
    "past the newest": {"releases": (s.watched("1.0.0"), s.watched("1.1.0", looked_up=False))},
}


@pytest.mark.parametrize("changed", WATCH_FAULTS.values(), ids=list(WATCH_FAULTS))
def test_a_look_that_was_not_whole_fails_and_says_nothing_of_fixes(
    changed: dict[str, object],
) -> None:
    measurements = hosted(read_watch=s.watch(**changed))
    assert run("R4d", measurements).verdict is Verdict.FAIL
    assert run("R4f", measurements).verdict is Verdict.FAIL
    assert run("R5.1c", measurements).verdict is Verdict.COULD_NOT_DETERMINE


def test_a_withdrawn_release_need_not_be_looked_at() -> None:
    measurements = hosted(
        read_watch=s.watch(releases=(s.watched("1.0.0"),)),
        read_repository=s.repository(plans=(s.withdrawal("1.1.0"),)),
    )
    assert run("R4d", measurements).verdict is Verdict.PASS


def test_what_support_left_unfixed_fails_and_a_fixable_one_may_wait_a_while() -> None:
    left = hosted(read_watch=s.watch(closed={"left-unfixed": 1}))
    assert run("R5.1c", left).verdict is Verdict.FAIL
    waiting = s.watch(open_fixable=1, oldest_fixable_at=NOW - timedelta(days=89))
    assert run("R5.1c", hosted(read_watch=waiting)).verdict is Verdict.PASS
