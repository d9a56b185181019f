"""The gate as a whole: what blocks, and that nothing broken passes."""

import dataclasses
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import jsonschema_rs
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.release.gate.bench import Bench

from limpet.crypto.attesting import new_attesting_key, public_pem
from limpet.errors import Rejected, Unavailable
from limpet.release import load_built
from limpet.release._gated import ATTESTATION_FILE, load_attestation
from limpet.release.gate import (
    RULES,
    Fault,
    Finding,
    Rule,
    Subject,
    Verdict,
    not_applicable,
    passed,
    record_report,
    render_sarif,
)
from limpet.release.sbom import SBOM_FILE
from limpet.requirements import load_statements
from limpet.wire.attestation import GATE_KEYS_FILE
from limpet.wire.codec import encode_json


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


def test_an_interrupted_gate_tells_a_rule_that_waits_to_give_up(sound: Bench) -> None:
    told = []

    def wait(subject: Subject) -> Finding:
        told.append(subject.given_up.wait(20))
        return passed("too late")

    def interrupt(subject: Subject) -> Finding:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sound.judge((dataclasses.replace(rule(wait), waits=True), rule(interrupt)))
    assert told == [True]


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


HOSTILE = (
    "a b.py",
    "c:/d.py",
    "é/世.py",
    "e%20f#g?h.py",
    "image: trust/k 1.pem",
    SBOM_FILE,
    "../x",
)


def test_sarif_is_valid_by_the_schema_whatever_the_verdict_and_the_names_of_files(
    sound: Bench, sarif: jsonschema_rs.Draft7Validator
) -> None:
    named = tuple(Fault("it is bad\x07", file, line) for line, file in enumerate(HOSTILE))
    rules = (
        rule(lambda subject: passed("seen")),
        replace(rule(lambda subject: not_applicable("nothing there")), id="b-rule"),
        replace(raising(Unavailable("it is not there", hint="put it there")), id="c-rule"),
        replace(rule(lambda subject: Finding(Verdict.REFUSED, faults=named)), id="d-rule"),
    )
    report = sound.judge(rules)
    for count in range(1, len(rules) + 1):
        part = msgspec.structs.replace(report, judgements=report.judgements[:count])
        written = json.loads(render_sarif(part))
        assert [str(one) for one in sarif.iter_errors(written)] == []
        told = [one["locations"][0] for one in written["runs"][0]["results"] if "locations" in one]
        places = [one["physicalLocation"]["artifactLocation"] for one in told]
        assert all(urlsplit(one["uri"]).path == one["uri"] for one in places)
    assert [unquote(one["uri"]) for one in places] == [
        one.removeprefix("image: ") for one in HOSTILE
    ]
    assert [one["uriBaseId"] for one in places[3:6]] == ["PRODUCT", "IMAGE", "RELEASE"]


@pytest.mark.parametrize("spoil", ["level", "message", "line", "uri"])
def test_the_schema_finds_a_spoiled_sarif(
    sound: Bench, sarif: jsonschema_rs.Draft7Validator, spoil: str
) -> None:
    bad = Finding(Verdict.REFUSED, faults=(Fault("it is bad", "a.py", 3),))
    written = json.loads(render_sarif(sound.judge((rule(lambda subject: bad),))))
    assert sarif.is_valid(written)
    (result,) = written["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    if spoil == "level":
        result["level"] = "fatal"
    elif spoil == "message":
        del result["message"]
    elif spoil == "line":
        place["region"]["startLine"] = 0
    else:
        place["artifactLocation"]["uri"] = "a b.py"
    assert not sarif.is_valid(written)


def test_a_file_whose_name_is_no_text_is_named_and_breaks_no_report(bench: Bench) -> None:
    """A private key under such a name is found, and the report can be written."""
    (secrets,) = (one for one in RULES if one.id == "secrets-absent")
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    Path(os.fsdecode(os.fsencode(bench.product) + b"/a-\xff.pem")).write_bytes(key)
    report = bench.judge((secrets,))
    assert report.verdict is Verdict.REFUSED
    assert rb"a-\\xff.pem" in encode_json(msgspec.to_builtins(report))
    assert b"a-%5Cxff.pem" in render_sarif(report)
