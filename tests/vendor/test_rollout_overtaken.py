"""Votes are weighed while others write: a verdict that was overtaken is not written."""

from collections.abc import Callable

import pytest
from tests.vendor.rollout_bench import BAD, GOOD, Bench

from limpet.vendor import rollout as rollouts
from limpet.vendor.rollout import engine
from limpet.vendor.rollout.evidence import Evidence
from limpet.vendor.store import Devices, RolloutRow
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PlanState

Happening = Callable[[], None]


@pytest.fixture
def meanwhile(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Callable[[Happening], None]:
    """Lets something happen, once, after votes were read and before the verdict is written."""

    def arrange(*happenings: Happening) -> None:
        left, real = list(happenings), engine.decide_step

        def decide(row: RolloutRow, evidence: Evidence, *rest: object, **more: object) -> object:
            decision = real(row, evidence, *rest, **more)
            if left:
                left.pop(0)()
            return decision

        monkeypatch.setattr(engine, "decide_step", decide)

    return arrange


def test_a_report_is_taken_while_votes_are_weighed(
    bench: Bench, meanwhile: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limpet.vendor.store._database.BUSY_SECONDS", 0.1)
    bench.start()
    one, two = bench.admitted(2)
    bench.report(one, *GOOD)
    meanwhile(lambda: bench.report(two, *GOOD))
    assert bench.tick(1).succeeded == 2


def test_a_failure_that_came_meanwhile_holds_the_step(
    bench: Bench, meanwhile: Callable[..., None]
) -> None:
    bench.start()
    one, two = bench.admitted(2)
    bench.report(one, *GOOD)
    meanwhile(lambda: bench.report(two, *BAD))
    status = bench.tick(10)
    assert (status.admitted_ppm, status.waiting_for) == (250_000, "evidence")


def test_an_operator_who_pauses_meanwhile_is_not_overruled(
    bench: Bench, meanwhile: Callable[..., None]
) -> None:
    bench.start()
    bench.report(*bench.admitted(1), *GOOD)
    meanwhile(lambda: rollouts.pause(bench.rollout, reason="odd noises"))
    status = bench.tick(10)
    assert (status.state, status.admitted_ppm) == (PlanState.PAUSED, 250_000)


def test_an_operator_who_resumes_meanwhile_is_not_overruled_by_a_halt_of_before(
    bench: Bench, meanwhile: Callable[..., None]
) -> None:
    bench.start()
    for device in bench.admitted(2):
        bench.report(device, *BAD)
    bench.clock.pass_seconds(1)
    meanwhile(lambda: rollouts.resume(bench.rollout))
    status = bench.tick(1)
    assert (status.state, status.failed) == (PlanState.RUNNING, 0)


def test_a_halt_comes_however_much_is_reported(
    bench: Bench, meanwhile: Callable[..., None]
) -> None:
    bench.start()
    one, two, three = bench.admitted(3)
    bench.report(one, *BAD)
    bench.report(two, *BAD)
    meanwhile(lambda: bench.report(three, ReportKind.ATTEMPT))
    assert bench.tick(1).state is PlanState.HALTED


def test_who_reports_without_end_does_not_keep_a_rollout_from_going_on(
    bench: Bench, meanwhile: Callable[..., None]
) -> None:
    bench.start()
    one, two = bench.admitted(2)
    bench.report(one, *GOOD)
    bench.report(two, *GOOD)
    meanwhile(*[lambda: bench.report(two, ReportKind.CONFIRMED)] * engine.TRIES)
    assert bench.tick(10).admitted_ppm == 1_000_000


def test_what_other_devices_say_of_holds_and_of_other_releases_is_no_news(
    bench: Bench, meanwhile: Callable[..., None]
) -> None:
    bench.start()
    bench.report(*bench.admitted(1), *GOOD)
    weighed: list[str] = []

    def say() -> None:
        weighed.append("once")
        bench.report("TH-0001", ReportKind.HELD)
        digest, bench.digest = bench.digest, "f" * 64
        bench.report("TH-0001", *GOOD)
        bench.digest = digest

    meanwhile(say, *[lambda: weighed.append("again")] * engine.TRIES)
    bench.clock.pass_seconds(10)
    rollouts.tick(bench.rollout)
    assert weighed == ["once"]
    assert bench.plan().admitted_ppm == 1_000_000


def test_a_tick_that_changes_nothing_takes_no_write_lock(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.start()
    bench.report(*bench.admitted(1), *GOOD)
    monkeypatch.setattr("limpet.vendor.store._database.BUSY_SECONDS", 0.1)
    with bench.rollout.database.transaction() as connection:
        Devices(connection).see("TH-0002", "thermostat", now=bench.clock())
        rollouts.tick(bench.rollout)
        assert rollouts.status(bench.rollout).waiting_for == "minimum-wait"
