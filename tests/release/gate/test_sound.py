"""The positive control of every rule."""

from tests.release.gate.bench import Bench

from limpet.release.gate import Verdict


def test_the_sound_product_passes_every_rule(sound: Bench) -> None:
    report = sound.judge()
    assert [
        (one.rule, one.finding.faults)
        for one in report.judgements
        if one.finding.verdict is not Verdict.PASSED
    ] == []
