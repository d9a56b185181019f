"""The gate as a whole: what blocks, and that nothing broken passes."""

from pathlib import Path

import pytest
from tests.release.gate.bench import Bench
from tests.release.workshop import NOW

from limpet.errors import Rejected, Unavailable
from limpet.release.gate import RULES, Finding, Rule, Subject, Verdict, open_subject, run_gate
from limpet.requirements import load_statements
from limpet.vendor.home import Home


@pytest.fixture
def bench(tmp_path: Path, home: Home) -> Bench:
    return Bench.found(tmp_path, home)


def rule(judge: object) -> Rule:
    return Rule(id="a-rule", title="t", reason="r", statements=("R4a",), hint="h", judge=judge)  # type: ignore[arg-type]


def raising(error: Exception) -> Rule:
    def judge(subject: Subject) -> Finding:
        raise error

    return rule(judge)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Rejected("bad", "it is bad"), Verdict.REFUSED),
        (Unavailable("it is not there"), Verdict.INCONCLUSIVE),
        (PermissionError(13, "Permission denied", "a-file"), Verdict.INCONCLUSIVE),
        (ZeroDivisionError("a secret in the message"), Verdict.INCONCLUSIVE),
    ],
)
def test_whatever_a_rule_raises_never_passes(
    bench: Bench, error: Exception, verdict: Verdict
) -> None:
    with open_subject(bench.product, bench.build().directory, now=NOW) as subject:
        report = run_gate(subject, [raising(error)])
    assert report.verdict is verdict
    assert "secret" not in str(report)


def test_every_rule_says_what_it_is_for() -> None:
    known = {statement.id for statement in load_statements()}
    assert len({one.id for one in RULES}) == len(RULES)
    for one in RULES:
        assert set(one.statements) <= known
        assert one.title
        assert one.reason
        assert one.hint
