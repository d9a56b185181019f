"""Each rule refuses what it is for, and nothing else."""

import pytest
from tests.release.gate import bytecode_specimens, component_specimens, source_specimens
from tests.release.gate.bench import STARTS_A_DEVICE, Bench
from tests.release.gate.table import SPECIMENS, Specimen

from limpet.release.gate import RULES, Verdict

BLOCKING = (Verdict.REFUSED, Verdict.INCONCLUSIVE)
NOT_KNOWN = {  # nothing is known against these, and nothing for them
    "a-bill-that-leaves-a-component-out",
    "a-bill-of-another-image",
    "a-dump-that-was-old-when-it-was-brought",
    "advisories-that-nobody-brought-for-a-week",
}


ALL = (source_specimens, component_specimens, bytecode_specimens)  # what fills the table


def test_there_are_twenty_specimens_and_every_rule_has_one() -> None:
    assert len({one.name for one in SPECIMENS}) == len(SPECIMENS) >= 20
    assert {one.rule for one in SPECIMENS} == {one.id for one in RULES} - {STARTS_A_DEVICE}


@pytest.mark.parametrize("specimen", SPECIMENS, ids=lambda one: one.name)
def test_a_specimen_is_blocked_by_its_rule_and_by_no_other(
    bench: Bench, specimen: Specimen
) -> None:
    specimen.spoil(bench)
    report = bench.judge()
    found = {one.rule: one.finding for one in report.judgements}
    blocks = [rule for rule, one in found.items() if one.verdict in BLOCKING]
    assert blocks == [specimen.rule], {
        rule: [fault.text for fault in found[rule].faults] for rule in blocks
    }
    assert any(
        specimen.words in f"{fault.file}: {fault.text}" for fault in found[specimen.rule].faults
    ), found[specimen.rule]
    assert report.exit_code == (3 if specimen.name in NOT_KNOWN else 1)
    assert report.verdict is not Verdict.PASSED
