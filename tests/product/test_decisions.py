"""A design without its decisions is no design: floods, memory protection, physical attack."""

import re
from pathlib import Path

import pytest

from limpet.product import examine_product

SOUND = (Path(__file__).parent / "specimens" / "sound.toml").read_text()


@pytest.mark.parametrize("decision", ["memory_protection", "flood_handling", "physical_attack"])
def test_a_design_without_a_decision_is_refused_by_its_name(decision: str) -> None:
    table = rf"(?ms)^\[decisions\.{decision}\]$.*?(?=^\[|\Z)"
    without, count = re.subn(table, "", SOUND)
    assert count == 1
    product, problems = examine_product(without.encode())
    assert product is None
    assert [problem.key for problem in problems] == [f"decisions.{decision}"]


@pytest.mark.parametrize("decision", ["memory_protection", "flood_handling", "physical_attack"])
@pytest.mark.parametrize("key", ["choice", "rationale"])
def test_a_decision_without_choice_or_rationale_is_refused(decision: str, key: str) -> None:
    line = rf"(?ms)^(\[decisions\.{decision}\]$[^\[]*?)^{key} = [^\n]*$"
    empty, count = re.subn(line, rf'\1{key} = ""', SOUND)
    assert count == 1
    product, problems = examine_product(empty.encode())
    assert product is None
    assert [problem.key for problem in problems] == [f"decisions.{decision}.{key}"]
