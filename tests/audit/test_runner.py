"""The runner: what goes wrong in a check is never a pass, and never goes on for ever."""

import threading
import time
from datetime import UTC, datetime

import msgspec
import pytest

from limpet.audit import Check, Finding, Input, Means, Report, Stage, Target, Verdict, audit
from limpet.audit.finding import (
    attempt,
    combine_all,
    combine_any,
    failed,
    not_applicable,
    passed,
    undetermined,
)
from limpet.audit.report import encode_report
from limpet.audit.target import parse_endpoint
from limpet.errors import Rejected, Unavailable
from limpet.requirements import load_statements

STATEMENTS = {one.id: one for one in load_statements()}
NAMES = ["R1a", "R1b", "R2.1a", "R2.1b", "R2.1c"]
PATIENCE = 60.0


def target() -> Target:
    return Target(now=lambda: datetime.now(UTC))


def check(run, statement: str = "R1a", **given) -> Check:  # type: ignore[no-untyped-def]
    return Check(statement=statement, section="1", means=(Means.DOSSIER,), run=run, **given)


def one(run, **given) -> Finding:  # type: ignore[no-untyped-def]
    entry = audit([check(run, **given)], target(), statements=STATEMENTS).entries[0]
    return Finding(entry.verdict, entry.evidence)


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("no answer"),
        Rejected("malformed", "not JSON"),
        TimeoutError(),
        ConnectionRefusedError(111, "Connection refused"),
        KeyError("x"),
        RecursionError(),
        AssertionError(),
    ],
)
def test_an_error_in_a_check_is_could_not_determine(error: Exception) -> None:
    def run(target: Target) -> Finding:
        raise error

    assert one(run).verdict is Verdict.COULD_NOT_DETERMINE


def test_the_message_of_an_unforeseen_error_is_not_repeated() -> None:
    def run(target: Target) -> Finding:
        raise ValueError("the token is hunter2")

    found = one(run)
    assert "hunter2" not in found.evidence
    assert "ValueError at test_runner.py" in found.evidence


def test_a_check_that_overruns_its_time_is_given_up_and_the_others_are_not() -> None:
    never = threading.Event()

    def stuck(target: Target) -> Finding:
        never.wait(PATIENCE)
        return passed("too late")

    checks = [
        check(stuck, seconds=0.2),
        check(lambda target: passed("quick"), "R1b", seconds=PATIENCE),
    ]
    begun = time.monotonic()
    report = audit(checks, target(), statements=STATEMENTS, workers=2, total_seconds=PATIENCE)
    assert time.monotonic() - begun < PATIENCE / 2
    never.set()
    verdicts = [entry.verdict for entry in report.entries]
    assert verdicts == [Verdict.COULD_NOT_DETERMINE, Verdict.PASS]
    assert "0.2 s" in report.entries[0].evidence


def test_the_whole_audit_is_bounded_in_time() -> None:
    """Though no check takes all of its own time."""
    never = threading.Event()

    def stuck(target: Target) -> Finding:
        never.wait(PATIENCE)
        return passed("too late")

    stages = [Stage.QUIET, *[Stage.GUESSING] * (len(NAMES) - 1)]
    checks = [
        check(
            stuck if name != NAMES[0] else lambda target: passed("done"),
            name,
            stage=stage,
            seconds=PATIENCE,
        )
        for name, stage in zip(NAMES, stages, strict=True)
    ]
    total = 3.0
    report = audit(checks, target(), statements=STATEMENTS, workers=1, total_seconds=total)
    never.set()
    assert len(report.entries) == len(NAMES)
    assert report.entries[0].verdict is Verdict.PASS
    assert {one.verdict for one in report.entries[1:]} == {Verdict.COULD_NOT_DETERMINE}
    assert total <= report.seconds < PATIENCE / 2, "it does not wait for all"


def test_a_missing_input_is_named_and_the_check_is_not_run() -> None:
    def run(target: Target) -> Finding:
        raise AssertionError("was run")

    found = one(run, needs=(Input.TOKEN, Input.VENDOR_DIR))
    assert found.verdict is Verdict.COULD_NOT_DETERMINE
    assert "--token-file" in found.evidence
    assert "--vendor" in found.evidence


def test_stages_follow_each_other_and_the_report_keeps_the_order_given() -> None:
    ran: list[str] = []

    def noting(name: str):  # type: ignore[no-untyped-def]
        def run(target: Target) -> Finding:
            ran.append(name)
            return passed(name)

        return run

    stages = [Stage.FLOODING, Stage.QUIET, Stage.GUESSING, Stage.CHANGING]
    checks = [
        check(noting(name), name, stage=stage) for name, stage in zip(NAMES, stages, strict=False)
    ]
    report = audit(checks, target(), statements=STATEMENTS)
    assert ran == ["R1b", "R2.1b", "R2.1a", "R1a"]
    assert [entry.statement for entry in report.entries] == NAMES[:4]


def test_a_measurement_is_taken_once_for_all_checks_that_need_it() -> None:
    taken: list[int] = []

    def measure(target: Target) -> int:
        time.sleep(0.05)
        taken.append(1)
        return len(taken)

    def run(target: Target) -> Finding:
        return passed(str(target.observe(measure)))

    report = audit([check(run, name) for name in NAMES], target(), statements=STATEMENTS)
    assert {entry.evidence for entry in report.entries} == {"1"}


def test_a_failed_measurement_fails_for_every_check_that_needs_it() -> None:
    def measure(target: Target) -> int:
        raise Unavailable("no answer")

    def run(target: Target) -> Finding:
        return passed(str(target.observe(measure)))

    report = audit([check(run, name) for name in NAMES], target(), statements=STATEMENTS)
    assert {entry.verdict for entry in report.entries} == {Verdict.COULD_NOT_DETERMINE}


def test_the_weakest_part_decides() -> None:
    good, bad, blind = passed("good"), failed("bad"), undetermined("blind")
    assert combine_all(good, bad, blind).verdict is Verdict.FAIL
    assert combine_all(good, blind).verdict is Verdict.COULD_NOT_DETERMINE
    assert combine_all(good, not_applicable("none")).verdict is Verdict.PASS
    assert combine_any(good, blind).verdict is Verdict.PASS
    assert combine_any(good, bad).verdict is Verdict.FAIL
    assert combine_any(blind, blind).verdict is Verdict.COULD_NOT_DETERMINE
    assert combine_all().verdict is Verdict.COULD_NOT_DETERMINE
    assert combine_all(good, bad).evidence.startswith("bad")


def test_a_part_that_could_not_be_looked_at_says_why() -> None:
    def look() -> Finding:
        raise Unavailable("not looked at: no --device given")

    assert attempt("host", look) == undetermined("host: not looked at: no --device given")


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [
        ([Verdict.PASS, Verdict.COULD_NOT_DETERMINE], 0),
        ([Verdict.PASS, Verdict.FAIL], 1),
        ([Verdict.COULD_NOT_DETERMINE] * 2, 3),
        ([], 3),
        ([Verdict.NOT_YET, Verdict.ATTESTED], 0),
    ],
)
def test_the_exit_status_follows_the_verdicts(verdicts: list[Verdict], status: int) -> None:
    assert report_of(verdicts).exit_code() == status


def test_other_verdicts_can_be_made_to_count_as_failures() -> None:
    report = report_of([Verdict.PASS, Verdict.NOT_YET])
    assert report.exit_code(frozenset({Verdict.FAIL, Verdict.NOT_YET})) == 1


def test_the_json_has_its_stable_keys_and_totals() -> None:
    document = msgspec.json.decode(encode_report(report_of([Verdict.PASS, Verdict.FAIL])))
    assert document["spec"] == "limpet-audit-1"
    assert document["totals"]["fail"] == 1
    assert set(document["entries"][0]) == {
        "statement", "level", "section", "asks", "verdict", "evidence", "means", "citation",
        "started", "seconds",
    }  # fmt: skip
    assert document["entries"][1]["verdict"] == "fail"


def report_of(verdicts: list[Verdict]) -> Report:
    def having(verdict: Verdict):  # type: ignore[no-untyped-def]
        return lambda target: Finding(verdict, "as given")

    checks = [check(having(v), name) for v, name in zip(verdicts, NAMES, strict=False)]
    return audit(checks, target(), statements=STATEMENTS)


@pytest.mark.parametrize("url", ["http://x", "https://", "x", "https://h:70000", "https://h/p"])
def test_what_is_not_an_https_url_is_refused(url: str) -> None:
    with pytest.raises(Rejected, match="URL"):
        parse_endpoint(url)


def test_a_name_is_led_to_an_address_as_curl_does() -> None:
    endpoint = parse_endpoint("https://vendor.example:8443", ("vendor.example:8443=127.0.0.1:9",))
    assert endpoint.peer == ("127.0.0.1", 9)
    assert endpoint.host == "vendor.example"
    assert parse_endpoint("https://[::1]:8443").peer == ("::1", 8443)
