"""What the rules let pass, and what they cannot tell: the other side of the specimens."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.release.gate.bench import TESTS, Bench
from tests.release.gate.source_specimens import FUNCTIONS, ISSUE, TEMPERATURE, WEATHER, WIDER

from limpet.cli.main import run
from limpet.release.gate import RULES, Verdict, render_sarif
from limpet.release.gate._issues import find_issue
from limpet.release.gate.rules import advisories_tested


def words(bench: Bench, rule: str) -> str:
    return "; ".join(fault.text for fault in bench.finding(rule).faults)


# --- past vulnerabilities


def test_an_advisory_that_is_published_and_not_here_is_missed(bench: Bench, tmp_path: Path) -> None:
    """Taken away before any release had it; and those of another model are not asked for."""
    for number, model in (("001", "thermostat"), ("008", "thermostat-pro"), ("009", "thermostat")):
        tree = {"product_tree": {"purl": f"pkg:generic/{model}@1.0.0"}}
        document = {"document": {"tracking": {"id": f"EX-2026-{number}"}}, **tree}
        (tmp_path / f"ex-2026-{number}.json").write_bytes(msgspec.json.encode(document))
    (tmp_path / "feed.json").write_text('{"feed": {}}')
    with bench.opened() as subject:
        finding = advisories_tested.judge(replace(subject, published=tmp_path))
    assert [one.text for one in finding.faults] == ["EX-2026-009 is published, and is not here"]


# --- source


def test_a_release_that_names_no_commit_is_refused_and_its_tests_prove_nothing(
    bench: Bench,
) -> None:
    bench.restamp(source_commit="")
    assert "does not say from which commit" in words(bench, "source-committed")
    assert bench.finding("tests-ran").verdict is Verdict.INCONCLUSIVE


def test_a_product_without_a_history_is_inconclusive(bench: Bench) -> None:
    (bench.product / ".git").rename(bench.work / "elsewhere")
    assert bench.finding("source-committed").verdict is Verdict.INCONCLUSIVE


def test_a_history_that_was_cut_is_inconclusive(bench: Bench) -> None:
    (bench.product / ".git" / "shallow").write_text(bench.git("rev-parse", "HEAD") + "\n")
    for rule in ("source-committed", "commits-signed"):
        finding = bench.finding(rule)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "cut" in finding.faults[0].text


@pytest.mark.parametrize(
    "rule",
    ["source-committed", "tracker-named", "interface-kept", "advisories-tested", "support-covers"],
)
def test_without_a_repository_nobody_knows_whether_it_is_the_first(sound: Bench, rule: str) -> None:
    finding = sound.finding(rule, repository=None)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "--repository" in finding.faults[0].hint


def test_a_history_without_the_last_release_is_inconclusive(bench: Bench) -> None:
    """A commit of the same content that has no history behind it."""
    alone = bench.git("commit-tree", "HEAD^{tree}", "-m", "Alone")
    bench.git("reset", "--quiet", "--hard", alone)
    bench.git("reflog", "expire", "--expire=all", "--all")
    bench.git("gc", "--quiet", "--prune=now")
    bench.restamp()
    finding = bench.finding("source-committed")
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "has no commit" in finding.faults[0].text


# --- signatures


def test_somebody_who_is_named_by_a_developer_signs_from_the_next_commit_on(bench: Bench) -> None:
    line = f"stranger@example.com {bench.public_key('stranger')}\n"
    bench.write("allowed-signers", (bench.product / "allowed-signers").read_text() + line)
    bench.commit("Welcome")
    bench.commit("Thank you", by="stranger")
    bench.restamp()
    assert bench.finding("commits-signed").verdict is Verdict.PASSED


def test_a_key_that_was_taken_out_does_not_come_back_by_a_merge_with_old_history(
    bench: Bench,
) -> None:
    old = bench.git("rev-parse", "HEAD")
    lines = (bench.product / "allowed-signers").read_text().splitlines(keepends=True)
    bench.write("allowed-signers", f"stranger@example.com {bench.public_key('stranger')}\n")
    bench.commit("Hand it on")
    tree = bench.git("rev-parse", f"{old}^{{tree}}")
    key = bench.work / "keys" / "developer"
    merged = bench.git(
        *("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}"),
        *("commit-tree", "-S", tree, "-p", "HEAD", "-p", old, "-m", "I am back"),
    )
    bench.git("reset", "--quiet", "--hard", merged)
    bench.restamp()
    assert (bench.product / "allowed-signers").read_text() == "".join(lines)
    finding = bench.finding("commits-signed")
    assert finding.verdict is Verdict.REFUSED
    assert "I am back" in finding.faults[0].text


def test_a_signature_program_of_the_repository_is_not_believed(bench: Bench) -> None:
    """A clone cannot bring this configuration, but a shared machine can."""
    program = bench.work / "yes"
    program.write_text("#!/bin/sh\necho 'Good \"git\" signature for a@b with ED25519 key x'\n")
    program.chmod(0o755)
    bench.commit("Trust me", by="stranger")
    bench.restamp()
    bench.git("config", "gpg.ssh.program", str(program))
    bench.git("config", "gpg.ssh.allowedSignersFile", str(bench.product / "allowed-signers"))
    assert bench.git("log", "-1", "--format=%G?") == "G"  # the control: git believes it
    assert bench.finding("commits-signed").verdict is Verdict.REFUSED


def test_a_replaced_commit_is_seen_as_it_is(bench: Bench) -> None:
    good = bench.git("rev-parse", "HEAD")
    bad = bench.commit("Trust me", by="")
    bench.restamp()
    bench.git("replace", bad, good)
    assert bench.finding("commits-signed").verdict is Verdict.REFUSED


def test_commits_are_judged_by_signatures_as_soon_as_a_design_demands_them(bench: Bench) -> None:
    bench.replace("product.toml", "signed_commits = true\n", "")
    before = bench.commit("Without", by="")
    bench.commit("Still without", by="")
    bench.restamp()
    finding = bench.finding("commits-signed", since=before)
    assert finding.verdict is Verdict.NOT_APPLICABLE
    bench.replace("product.toml", "allowed_signers", "signed_commits = true\nallowed_signers")
    bench.commit("Demand them")
    bench.restamp()
    finding = bench.finding("commits-signed", since=before)
    assert [fault.text.split(": ")[-1] for fault in finding.faults] == ["Still without"]


def test_the_file_of_signers_keeps_its_name(bench: Bench) -> None:
    bench.git("mv", "allowed-signers", "signers")
    bench.replace("product.toml", '"allowed-signers"', '"signers"')
    bench.commit("Rename it")
    bench.restamp()
    assert "was in another file" in words(bench, "commits-signed")


# --- bugs


@pytest.mark.parametrize(
    ("stated", "name"),
    [
        ("#12", "12"),
        ("12", "12"),
        ("https://bugs.example.com/p/12", "12"),
        ("https://bugs.example.com/p/issues/a-1/", "issues/a-1"),
        ("https://bugs.example.com/p", None),
        ("https://bugs.example.com/pp/12", None),
        ("https://bugs.example.com/p/../q/12", None),
        ("https://bugs.example.com.evil.example/p/12", None),
        ("http://bugs.example.com/p/12", None),
        ("#0", None),
        ("", None),
        ("none", None),
    ],
)
def test_an_issue_is_a_number_or_an_address_below_the_tracker(
    stated: str, name: str | None
) -> None:
    assert find_issue(stated, "https://bugs.example.com/p") == name


def test_a_fix_that_names_its_issue_passes(bench: Bench) -> None:
    bench.commit("Refuse short codes (CVE-2026-10001)\n\nIssue: #12")
    bench.restamp()
    finding = bench.finding("tracker-named")
    assert finding.verdict is Verdict.PASSED
    assert "1 commits fix" in finding.evidence[0]


# --- tests


def test_tests_that_were_left_out_are_listed(bench: Bench) -> None:
    slow = ("tests.test_claim", "test_all_codes", '<skipped message="takes days"/>')
    bench.write_result((*TESTS, slow))
    finding = bench.finding("tests-ran")
    assert finding.verdict is Verdict.PASSED
    assert finding.listed == ("left out: tests.test_claim::test_all_codes: takes days",)


def test_a_result_in_which_nothing_ran_is_refused(bench: Bench) -> None:
    bench.write_result(())
    assert "no test ran" in words(bench, "tests-ran")


@pytest.mark.parametrize("rule", ["tests-ran", "advisories-tested"])
def test_without_a_result_the_tests_are_not_known(sound: Bench, rule: str) -> None:
    finding = sound.finding(rule, tests=None)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "--tests" in finding.faults[0].text


def test_an_advisory_that_cannot_be_read_is_refused_by_name(bench: Bench) -> None:
    bench.write("advisories/ex-2026-002.json", '{"document": {}}')
    finding = bench.finding("advisories-tested")
    assert finding.verdict is Verdict.REFUSED
    assert finding.faults[0].text.startswith("advisories/ex-2026-002.json: ")


# --- interface


def test_a_change_that_breaks_and_says_so_passes_and_is_listed(bench: Bench) -> None:
    bench.replace(FUNCTIONS, TEMPERATURE, WIDER)
    bench.rebuild("Say that there is no measurement", interface_version=2)
    finding = bench.finding("interface-kept")
    assert finding.verdict is Verdict.PASSED
    assert "answers differently" in finding.listed[0]


def test_a_change_that_a_named_security_issue_requires_passes(bench: Bench) -> None:
    bench.replace(FUNCTIONS, TEMPERATURE, WIDER)
    bench.rebuild(f"Refuse short codes{ISSUE}", interface_version=2, because="#12")
    assert bench.finding("interface-kept").verdict is Verdict.PASSED


def test_a_new_flow_that_owners_are_asked_about_passes(bench: Bench) -> None:
    bench.write("product.toml", (bench.product / "product.toml").read_text() + WEATHER)
    bench.rebuild("Ask for the weather", interface_version=2)
    assert bench.finding("interface-kept").verdict is Verdict.PASSED


def test_a_function_that_is_added_is_listed(bench: Bench) -> None:
    path: Path = bench.product / FUNCTIONS
    more = (
        '\n\n@app.reading(summary="More")\ndef more(regulator: Regulator) -> int:\n    return 1\n'
    )
    path.write_text(path.read_text() + more)
    bench.rebuild("Offer more")
    finding = bench.finding("interface-kept")
    assert finding.verdict is Verdict.PASSED
    assert finding.listed == ("added GET /v1/functions/more",)


def test_a_manifest_that_describes_another_interface_than_the_image_is_refused(
    bench: Bench,
) -> None:
    from limpet.firmware.interface import pack_interface

    bench.restamp(interface=pack_interface(b'{"openapi": "3.1.0", "paths": {}}'))
    assert "another interface than the image" in words(bench, "interface-kept")


# --- support


def test_support_that_ends_earlier_than_was_promised_is_noted(bench: Bench) -> None:
    assert not bench.finding("support-covers").notes
    bench.end_support("2030-01-31")
    bench.commit("Promise less")
    bench.restamp()
    finding = bench.finding("support-covers")
    assert finding.verdict is Verdict.PASSED
    assert "2030-01-31 is before that" in finding.notes[0].text


def test_a_late_gift_that_says_so_passes_and_is_listed(bench: Bench) -> None:
    bench.end_support("2026-01-31")
    bench.commit("End the support")
    bench.restamp(after_support=True)
    finding = bench.finding("support-covers")
    assert finding.verdict is Verdict.PASSED
    assert "extends nothing" in finding.listed[0]


# --- components


def test_packages_of_the_devices_own_system_are_declared_and_listed(bench: Bench) -> None:
    bench.replace("product.toml", '["pypi"]', '["pypi", "system"]')
    bench.commit("Take what the system brings")
    bench.build(packages=None)
    finding = bench.finding("components-locked")
    assert finding.verdict is Verdict.PASSED
    assert "looked at elsewhere" in finding.listed[0]


def test_a_firmware_without_a_bill_is_inconclusive(bench: Bench) -> None:
    bench.restamp(sbom=msgspec.UNSET)
    (bench.release / "sbom.cdx.json").unlink()
    for rule in ("components-locked", "sbom-matches", "vulnerabilities-addressed"):
        assert bench.finding(rule).verdict is Verdict.INCONCLUSIVE


def test_without_advisories_nothing_is_known(sound: Bench) -> None:
    finding = sound.finding("vulnerabilities-addressed", advisories=None)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "--advisories" in finding.faults[0].text


def test_the_result_says_how_old_the_advisories_are_and_which(sound: Bench) -> None:
    first, second = sound.finding("vulnerabilities-addressed").evidence
    assert "1 advisories, sha256 " in first
    assert "PyPI imported 0.0 days ago" in second


# --- design


def test_names_of_examples_are_noted_by_line_and_refuse_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bench's product is the thermostat, whose maker does not exist."""
    finding = bench.finding("design-whole")
    assert finding.verdict is Verdict.PASSED
    written = (bench.product / "product.toml").read_text().split("\n")
    noted = {note.text.partition(":")[0]: written[note.line - 1] for note in finding.notes}
    assert set(noted) == {
        "maker.url",
        "vendor.hosts",
        "development.issue_tracker",
        "security_contact.contacts",
        "security_contact.policy_url",
    }
    assert all("example.com" in line for line in noted.values())
    rules = tuple(rule for rule in RULES if rule.id == "design-whole")
    monkeypatch.setattr("limpet.cli._release_check.RULES", rules)
    status = run(["release", "check", str(bench.product), "--release", str(bench.release)])
    out = capsys.readouterr().out
    assert status == 0
    assert f"note: product.toml:{finding.notes[0].line}: maker.url: " in out
    assert "6 noted: mend that before a customer gets a device" in out


def test_names_that_somebody_owns_are_not_noted(bench: Bench) -> None:
    design = bench.product / "product.toml"
    design.write_text(design.read_text().replace("example.com", "maker-of-examples.com"))
    finding = bench.finding("design-whole")
    assert (finding.verdict, finding.notes) == (Verdict.PASSED, ())


def test_a_note_is_a_warning_in_sarif_beside_the_rule_that_passed(bench: Bench) -> None:
    report = bench.judge(tuple(rule for rule in RULES if rule.id == "design-whole"))
    results = json.loads(render_sarif(report))["runs"][0]["results"]
    assert [(one["kind"], one["level"]) for one in results[:2]] == [
        ("pass", "none"),
        ("fail", "warning"),
    ]
    place = results[1]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "product.toml", "uriBaseId": "PRODUCT"}
    assert report.exit_code == 0


def test_a_directory_without_a_product_is_told_before_anything_is_judged(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rules that need only the image would pass there."""
    elsewhere = bench.product / "app"
    assert run(["release", "check", str(elsewhere), "--release", str(bench.release)]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert f"{elsewhere} is no product's directory" in err
    assert not (bench.release / "gate.json").exists()
