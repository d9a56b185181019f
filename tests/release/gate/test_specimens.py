"""Each rule refuses what it is for, and nothing else."""

import pytest
from tests.release.gate.bench import Bench
from tests.release.gate.specimens import SPECIMENS, Specimen

from limpet.release.gate import RULES, Verdict


def test_there_are_twenty_specimens_and_every_rule_has_one() -> None:
    assert len({one.name for one in SPECIMENS}) == len(SPECIMENS) >= 20
    assert {one.rule for one in SPECIMENS} == {one.id for one in RULES}


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda one: one.name)
def test_a_specimen_is_refused_by_its_rule_and_by_no_other(
    bench: Bench, specimen: Specimen
) -> None:
    specimen.spoil(bench)
    report = bench.judge()
    found = {one.rule: one.finding for one in report.judgements}
    refused = [rule for rule, one in found.items() if one.verdict is Verdict.REFUSED]
    assert refused == [specimen.rule], {
        rule: [fault.text for fault in found[rule].faults] for rule in refused
    }
    assert any(
        specimen.words in f"{fault.file}: {fault.text}" for fault in found[specimen.rule].faults
    ), found[specimen.rule]
    assert report.exit_code == 1
    others = {one.verdict for rule, one in found.items() if rule != specimen.rule}
    assert others <= {Verdict.PASSED, Verdict.NOT_APPLICABLE}
