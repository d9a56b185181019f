"""The dump that the benchmark invents: what is measured with it must be what it says."""

from datetime import timedelta
from pathlib import Path

from bench.advisory_dump import END, Size, make_components, write_dump
from tests.release.advisories.records import ask, bring

from limpet.release.advisories import Outcome, Triage, judge_vulnerabilities

SMALL = Size(pypi=120, debian=180)
NOW = END + timedelta(hours=1)


def test_it_is_the_same_each_time_and_an_update_changes_as_many_as_it_says(tmp_path: Path) -> None:
    one = bring(tmp_path / "one", write_dump(tmp_path / "first", SMALL), now=NOW)
    other = bring(tmp_path / "other", write_dump(tmp_path / "again", SMALL), now=NOW)
    assert one.facts.digest == other.facts.digest
    assert (one.added, one.refused_count) == (300, 0)
    after = bring(tmp_path / "one", write_dump(tmp_path / "next", SMALL, changed=5), now=NOW)
    assert (after.changed, after.unchanged, after.withdrawn) == (10, 290, 2)


def test_its_components_are_looked_up_and_some_of_each_outcome_follow(tmp_path: Path) -> None:
    store = tmp_path / "store"
    bring(store, write_dump(tmp_path / "dump", SMALL), now=NOW)
    found = ask(store, *make_components(SMALL, 300))
    outcomes = {one.outcome for one in judge_vulnerabilities(found, (), Triage(), NOW)}
    assert {Outcome.BLOCKS_FIXABLE, Outcome.BLOCKS_UNOWNED} <= outcomes
    assert len({hit.component.name for hit in found.hits}) > 20
