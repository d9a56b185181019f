"""When a slot on trial has shown enough, and what boot then says of the attempt."""

from datetime import UTC, datetime
from typing import Any

from limpet.device.link import messages as m
from limpet.device.updater.progress import Attempt, Progress, begin_attempt, settle
from limpet.device.updater.trial import Trial

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)  # a Sunday


def judge(trial: Trial, *answers: bool, step: float = 0.5) -> Any:
    for number, healthy in enumerate(answers):
        verdict = trial.observe(number * step, healthy=healthy, reason="" if healthy else "ill")
        if verdict is not None:
            return verdict, number * step
    return None, len(answers) * step


def test_a_slot_passes_only_after_being_healthy_for_a_while_and_reaching_the_vendor() -> None:
    verdict, when = judge(Trial(60, 0, reached=True), *[True] * 100)
    assert verdict.passed
    assert when == 5.0
    verdict, _ = judge(Trial(60, 0, reached=False), *[True] * 300)
    assert not verdict.passed
    assert verdict.reason.startswith("vendor-unreachable")


def test_one_bad_answer_begins_the_healthy_time_anew() -> None:
    verdict, when = judge(Trial(60, 0, reached=True), *[True] * 9, False, *[True] * 100)
    assert verdict.passed
    assert when == 10.0


def test_lasting_illness_fails_soon_with_its_reason() -> None:
    verdict, when = judge(Trial(60, 0, reached=True), *[False] * 100)
    assert (verdict.passed, verdict.reason, when) == (False, "unhealthy: ill", 10.0)


def test_a_failed_slot_is_told_with_every_clause_that_fails() -> None:
    trial = Trial(60, 0, vendor_fault="connection refused")
    faults = "app: the sensor reads 300 degrees; function status: gave no answer in 2 s"
    assert trial.observe(0, healthy=False, reason=faults) is None
    assert trial.open_clauses == f"{faults}; vendor: connection refused"
    verdict = trial.observe(10, healthy=False, reason=faults)
    assert verdict is not None
    assert verdict.reason == f"unhealthy: {faults}; vendor: connection refused"


def test_a_clause_that_was_met_is_not_named() -> None:
    trial = Trial(60, 0, reached=True)
    trial.observe(0, healthy=True)
    assert trial.open_clauses == ""
    late = Trial(60, 0, vendor_fault="no route")
    late.observe(0, healthy=True)
    verdict = late.observe(55, healthy=True)
    assert verdict is not None
    assert verdict.reason == "vendor-unreachable: healthy, but vendor: no route"


def test_flapping_fails_before_boots_deadline() -> None:
    verdict, when = judge(Trial(60, 0, reached=True), *[True, False] * 100)
    assert not verdict.passed
    assert 50 < when < 60


ATTEMPT = Attempt(version="1.1.0", manifest_sha256="ab" * 32, security_counter=2)


def boot(**changes: Any) -> m.BootRecord:
    fields: dict[str, Any] = {
        "running": "a", "on_trial": False, "version": "1.0.0", "security_counter": 1,
    }  # fmt: skip
    return m.BootRecord(**(fields | changes))


def test_an_attempt_is_settled_by_what_boot_says() -> None:
    progress = begin_attempt(Progress(), ATTEMPT)
    assert settle(progress, boot(on_trial=True, version="1.1.0")) == (progress, None)
    _, won = settle(progress, boot(version="1.1.0"))
    assert won is not None
    assert won.confirmed
    lost_record, lost = settle(
        progress, boot(fell_back_manifest=ATTEMPT.manifest_sha256, fell_back_reason="ill")
    )
    assert lost is not None
    assert not lost.confirmed
    assert lost_record.failed[0].final
    dropped, nothing = settle(progress, boot())
    assert (dropped.attempt, nothing) == (None, None)
