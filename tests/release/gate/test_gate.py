"""The gate as a whole: what blocks, and that nothing broken passes."""

import hashlib
import json
from pathlib import Path

import pytest
from tests.release.gate.bench import Bench

from limpet.crypto.attesting import new_attesting_key, public_pem
from limpet.errors import Rejected, Unavailable
from limpet.release import load_built
from limpet.release._gated import ATTESTATION_FILE, load_attestation
from limpet.release.gate import (
    RULES,
    Finding,
    Rule,
    Subject,
    Verdict,
    passed,
    record_report,
    render_sarif,
)
from limpet.requirements import load_statements
from limpet.wire.attestation import GATE_KEYS_FILE


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
    sound: Bench, error: Exception, verdict: Verdict
) -> None:
    report = sound.judge((raising(error),))
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


def test_a_statement_is_signed_whatever_the_verdict_and_only_a_pass_is_believed(
    bench: Bench, tmp_path: Path
) -> None:
    built, key = load_built(bench.release), new_attesting_key()
    for error, believed in ((None, True), (Rejected("bad", "it is bad"), False)):
        chosen = rule(lambda subject: passed("seen")) if error is None else raising(error)
        report = bench.judge((chosen,))
        record_report(built.directory, report, key)
        data = (built.directory / ATTESTATION_FILE).read_bytes()
        (tmp_path / GATE_KEYS_FILE).write_bytes(public_pem(key.public_key()))
        words = {"manifest_sha256": built.manifest_sha256}
        if believed:
            found = load_attestation(built.directory, tmp_path, **words)
            assert found == hashlib.sha256(data).hexdigest()
        else:
            with pytest.raises(Rejected, match="did not let it pass: a-rule"):
                load_attestation(built.directory, tmp_path, **words)


def test_an_older_word_does_not_outlive_a_new_look(bench: Bench) -> None:
    report = bench.judge((rule(lambda subject: passed("seen")),))
    record_report(bench.release, report, new_attesting_key())
    assert (bench.release / ATTESTATION_FILE).exists()
    record_report(bench.release, report, None)
    assert not (bench.release / ATTESTATION_FILE).exists()


def test_sarif_has_a_rule_and_a_result_for_each_and_blocks_on_the_inconclusive(
    sound: Bench,
) -> None:
    rules = (rule(lambda subject: passed("seen")), raising(Unavailable("not there")))
    report = sound.judge(rules)
    (run,) = json.loads(render_sarif(report))["runs"]
    assert [one["id"] for one in run["tool"]["driver"]["rules"]] == ["a-rule", "a-rule"]
    assert [(one["kind"], one["level"]) for one in run["results"]] == [
        ("pass", "none"),
        ("fail", "error"),
    ]
    assert run["invocations"][0]["exitCode"] == 3
