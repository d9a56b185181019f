"""Specimens of how a product is developed and kept: design, source, tests, interface, support."""

import json
from typing import Any

from tests.release.gate.bench import ADVISORY, TESTS, Bench
from tests.release.gate.table import specimen

__all__ = ["FUNCTIONS", "ISSUE", "TEMPERATURE", "WEATHER", "WIDER"]

FUNCTIONS = "app/thermostat/functions.py"
ISSUE = "\n\nSecurity-Fix: a code was too short\nIssue: #12"


# --- the design


@specimen("design-whole", 'no code at "thermostat.control:decide_otherwise"')
def a_measure_that_no_code_takes(bench: Bench) -> None:
    bench.replace(
        "product.toml", "thermostat.control:decide_heating", "thermostat.control:decide_otherwise"
    )
    bench.rebuild("Promise more")


@specimen("source-committed", "the image has it otherwise than the commit")
def a_design_that_was_changed_after_the_build(bench: Bench) -> None:
    bench.write("product.toml", (bench.product / "product.toml").read_text() + "\n# Later.\n")
    bench.commit("Change the design")
    bench.restamp()


# --- source


@specimen("source-committed", "is in no commit")
def a_file_that_is_in_no_commit(bench: Bench) -> None:
    bench.write("app/thermostat/extra.py", '"""Not committed."""\n')


@specimen("source-committed", "is not as it was committed")
def a_file_that_was_changed_since(bench: Bench) -> None:
    bench.write("README.md", "# Another\n")


@specimen("source-committed", "it was built from")
def a_release_of_an_older_commit(bench: Bench) -> None:
    bench.commit("Go on after the build")


@specimen("source-committed", "is in the image and in no commit")
def a_file_that_git_ignores_and_the_image_carries(bench: Bench) -> None:
    bench.write(".gitignore", "local.py\n")
    bench.write("app/thermostat/local.py", '"""Only on this machine."""\n')
    bench.rebuild("Ignore what is local")


@specimen("source-committed", "git was told not to look")
def a_change_that_git_was_told_not_to_show(bench: Bench) -> None:
    bench.git("update-index", "--assume-unchanged", "README.md")
    bench.write("README.md", "# Another\n")
    assert not bench.git("status", "--porcelain")


@specimen("source-committed", "has no name or address")
def a_commit_without_an_address(bench: Bench) -> None:
    bench.commit("Whoever it was", GIT_COMMITTER_EMAIL="")
    bench.restamp()


# --- signatures


@specimen("commits-signed", "there is no signature")
def a_commit_that_nobody_signed(bench: Bench) -> None:
    bench.commit("Trust me", by="")
    bench.restamp()


@specimen("commits-signed", "the key may not sign")
def a_commit_that_a_stranger_signed(bench: Bench) -> None:
    bench.commit("I am new here", by="stranger")
    bench.restamp()


@specimen("commits-signed", "its time was over")
def a_commit_of_somebody_who_has_left(bench: Bench) -> None:
    bench.commit("One last thing", by="leaver")
    bench.restamp()


@specimen("commits-signed", "by the file before this commit")
def a_stranger_who_names_himself(bench: Bench) -> None:
    path = bench.product / "allowed-signers"
    line = f"stranger@example.com {bench.public_key('stranger')}\n"
    bench.write("allowed-signers", path.read_text() + line)
    bench.commit("Allow me to sign", by="stranger")
    bench.restamp()


@specimen("commits-signed", "there is no signature")
def an_unsigned_commit_that_ends_the_policy(bench: Bench) -> None:
    bench.replace("product.toml", "signed_commits = true", "signed_commits = false")
    bench.commit("Signatures are tedious", by="")
    bench.build()
    bench.write_result()


@specimen("commits-signed", "the key may not sign")
def a_commit_by_a_key_that_was_taken_out(bench: Bench) -> None:
    bench.commit("By a thief", by="leaver", GIT_COMMITTER_DATE="2019-06-01T12:00:00Z")
    lines = (bench.product / "allowed-signers").read_text().splitlines(keepends=True)
    bench.write("allowed-signers", lines[0])
    bench.commit("Take the stolen key out")
    bench.restamp()


# --- bugs


@specimen("tracker-named", "fixes CVE-2026-10001 and names no issue")
def a_fix_of_a_known_vulnerability_without_an_issue(bench: Bench) -> None:
    bench.commit("Refuse short codes (CVE-2026-10001)")
    bench.restamp()


@specimen("tracker-named", "names no issue")
def a_fix_of_an_own_advisory_without_an_issue(bench: Bench) -> None:
    bench.commit("Mend what EX-2026-001 is about")
    bench.restamp()


@specimen("tracker-named", "is no issue of")
def a_fix_with_an_issue_of_another_tracker(bench: Bench) -> None:
    bench.commit("Mend it\n\nSecurity-Fix: a hole\nIssue: https://elsewhere.example.com/issues/1")
    bench.restamp()


# --- tests


@specimen("tests-ran", "test_a_long_code_is_taken failed")
def a_test_that_failed(bench: Bench) -> None:
    bench.write_result((TESTS[0], (*TESTS[1][:2], '<failure message="no"/>')))


@specimen("tests-ran", "test_a_long_code_is_taken error")
def a_test_that_broke(bench: Bench) -> None:
    bench.write_result((TESTS[0], (*TESTS[1][:2], '<error message="no"/>')))


@specimen("tests-ran", "the tests ran on")
def tests_of_another_commit(bench: Bench) -> None:
    bench.write_result(commit="0" * 40)


@specimen("tests-ran", "does not say on which commit")
def tests_of_no_commit(bench: Bench) -> None:
    bench.write_result(commit="")


@specimen("tests-ran", "changes that are in no commit")
def tests_of_a_tree_with_changes(bench: Bench) -> None:
    bench.write_result(tree="changed")


# --- past vulnerabilities


def _advise(bench: Bench, note: dict[str, str]) -> None:
    advisory: dict[str, Any] = json.loads(json.dumps(dict(ADVISORY)))
    advisory["vulnerabilities"][0]["notes"] = [note]
    bench.write("advisories/ex-2026-001.json", json.dumps(advisory))
    bench.commit("Say it otherwise")
    bench.restamp()


@specimen("advisories-tested", "names no regression test")
def a_past_vulnerability_that_no_test_would_find(bench: Bench) -> None:
    _advise(bench, {"category": "other", "title": "Remark", "text": "It was bad."})


@specimen("advisories-tested", "its test did not run: tests/test_claim.py::test_gone")
def a_regression_test_that_is_gone(bench: Bench) -> None:
    text = "tests/test_claim.py::test_gone"
    _advise(bench, {"category": "other", "title": "regression-test", "text": text})


@specimen("advisories-tested", "its test skipped")
def a_regression_test_that_was_left_out(bench: Bench) -> None:
    bench.write_result(((*TESTS[0][:2], '<skipped message="slow"/>'), TESTS[1]))


@specimen("advisories-tested", "EX-2026-001 was there at the release before, and is gone")
def an_advisory_that_was_taken_away_with_its_test(bench: Bench) -> None:
    (bench.product / "advisories" / "ex-2026-001.json").unlink()
    bench.commit("Tidy up")
    bench.restamp()


# --- interface

TEMPERATURE = "def temperature(regulator: Regulator) -> float:"
WIDER = "def temperature(regulator: Regulator) -> float | None:"
WEATHER = """
[[interfaces]]
id = "weather"
description = "The forecast for the owner's region."
direction = "out"
transport = "tcp"
protocol = "HTTPS (HTTP/1.1 over TLS 1.3)"
port = 8443
hosts = ["vendor.example.com"]
authentication = ["server-certificate"]

[[threats]]
id = "false-weather"
description = "Somebody answers in the place of the weather service."
interfaces = ["weather"]
measures = ["tls-only"]
"""


@specimen("interface-kept", "answers differently")
def an_answer_that_is_not_as_it_was(bench: Bench) -> None:
    bench.replace(FUNCTIONS, TEMPERATURE, WIDER)
    bench.rebuild("Say that there is no measurement")


@specimen("interface-kept", "breaks something without need")
def a_security_fix_that_breaks_something_else(bench: Bench) -> None:
    bench.replace(FUNCTIONS, TEMPERATURE, WIDER)
    bench.rebuild(f"Refuse short codes, and tidy up{ISSUE}", interface_version=2)


@specimen("interface-kept", "no commit since 1.0.0 says that it fixes the security issue #13")
def a_change_that_an_issue_requires_which_nobody_fixed(bench: Bench) -> None:
    bench.commit(f"Refuse short codes{ISSUE}")
    bench.restamp(because="#13")


@specimen("interface-kept", "calls vendor.example.com, tcp port 8443")
def a_new_flow_that_nobody_is_asked_about(bench: Bench) -> None:
    bench.write("product.toml", (bench.product / "product.toml").read_text() + WEATHER)
    bench.rebuild("Ask for the weather")


@specimen("interface-kept", "below 1")
def an_interface_version_that_goes_back(bench: Bench) -> None:
    bench.restamp(interface_version=0)


# --- support


@specimen("support-covers", "support ended on 2026-01-31")
def a_release_after_the_support_period(bench: Bench) -> None:
    bench.end_support("2026-01-31")
    bench.rebuild("End the support")


@specimen("support-covers", "says that it comes after support")
def a_supported_release_that_says_it_is_not(bench: Bench) -> None:
    bench.restamp(after_support=True)
