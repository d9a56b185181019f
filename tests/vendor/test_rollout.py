"""Rollouts over the real database and repository: advance, halt, survive cuts, remember."""

import threading
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.vendor.rollout_bench import BAD, GOOD, TEST, Bench
from tests.vendor.test_repository_cuts import Cut, CutAfter
from tests.vendor.workshop import (
    ANY_STEP,
    MODEL,
    NOW,
    TufClient,
    make_release,
    next_releases,
)

from limpet.errors import Rejected
from limpet.vendor import rollout as rollouts
from limpet.vendor.home import Home
from limpet.vendor.repository import Repository
from limpet.vendor.rollout import Rollout
from limpet.vendor.store import Devices
from limpet.wire.codec import decode_json
from limpet.wire.release import Bounds, ahead_tag, manifest_path
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PLAN_BYTES, Plan, PlanState, device_tag, plan_path


def test_a_healthy_release_goes_from_the_canary_to_everybody(
    bench: Bench, home: Home, tmp_path: Path
) -> None:
    bench.start(canaries=["TH-CANARY"])
    plan = bench.plan()
    assert (plan.state, plan.admitted_ppm) == (PlanState.RUNNING, 0)
    assert plan.named == (device_tag(bench.digest, "TH-CANARY"),)
    assert bench.tick(1000).waiting_for == "canaries"
    bench.report("TH-CANARY", *GOOD)
    assert bench.tick(10).admitted_ppm == 250_000
    bench.report(*bench.admitted(1), *GOOD)
    assert bench.tick(10).admitted_ppm == 1_000_000
    assert bench.plan().previous_ppm == 250_000
    assert bench.tick(10).complete
    data = TufClient(home, tmp_path / "client").read(plan_path(MODEL))
    assert data is not None
    assert decode_json(data, Plan, max_bytes=PLAN_BYTES) == bench.plan()


def test_a_canary_that_would_be_waited_for_without_end_starts_no_rollout(bench: Bench) -> None:
    with bench.rollout.database.transaction() as connection:
        Devices(connection).set_block("TH-BLOCKED", MODEL, now=bench.clock(), blocked=True)
    for serial, why in (("TH-MISTYPED", "was never seen here"), ("TH-BLOCKED", "is blocked")):
        with pytest.raises(Rejected, match=why) as refused:
            bench.start(canaries=["TH-CANARY", serial])
        assert refused.value.reason == "unknown-device"
    assert rollouts.status(bench.rollout).version is None


def test_a_canary_that_falls_back_halts_the_rollout_and_the_plan(bench: Bench) -> None:
    bench.start(canaries=["TH-CANARY"])
    bench.report("TH-CANARY", *BAD)
    status = bench.tick()
    assert status.state is PlanState.HALTED
    assert bench.plan().state is PlanState.HALTED
    assert status.history[-1].event == "halted"
    assert "canary-failed" in status.history[-1].detail


def test_a_device_that_never_answers_again_is_a_failure(bench: Bench) -> None:
    bench.start()
    first, second = bench.admitted(2)
    bench.report(first, ReportKind.ATTEMPT)
    bench.report(second, ReportKind.ATTEMPT, ReportKind.INSTALLED)
    assert bench.tick(99).waiting_for == "results"
    status = bench.tick(1)
    assert (status.state, status.silent) == (PlanState.HALTED, 2)


def test_a_device_counts_once_with_its_latest_result(bench: Bench) -> None:
    bench.start()
    [device] = bench.admitted(1)
    for _ in range(5):
        bench.report(device, *BAD)
    status = bench.tick()
    assert (status.failed, status.state) == (1, PlanState.RUNNING)
    bench.report(device, *GOOD)
    assert (bench.tick().failed, bench.tick().succeeded) == (0, 1)


def test_a_refusal_counts_only_after_an_attempt(bench: Bench) -> None:
    bench.start()
    first, second, third = bench.admitted(3)
    bench.report(first, ReportKind.REFUSED)
    bench.report(second, ReportKind.HELD)
    assert bench.tick().failed == 0
    bench.report(third, ReportKind.ATTEMPT, ReportKind.REFUSED)
    assert bench.tick().failed == 1


def test_reports_about_releases_that_nobody_rolled_out_count_nowhere(bench: Bench) -> None:
    bench.start()
    first, second = bench.admitted(2)
    digest, bench.digest = bench.digest, "f" * 64
    bench.report(first, *BAD)
    bench.report(second, *BAD)
    bench.digest = digest
    assert bench.tick().failed == 0


def test_pause_holds_and_resume_goes_on(bench: Bench) -> None:
    bench.start()
    rollouts.pause(bench.rollout, reason="odd noises")
    assert bench.plan().state is PlanState.PAUSED
    assert bench.tick(1000).admitted_ppm == 250_000
    with pytest.raises(Rejected, match="paused"):
        rollouts.pause(bench.rollout)
    rollouts.resume(bench.rollout)
    assert bench.plan().state is PlanState.RUNNING
    assert bench.tick(9).admitted_ppm == 250_000
    assert bench.tick(1).admitted_ppm == 1_000_000


def test_who_resumes_after_a_halt_starts_with_fresh_evidence(bench: Bench) -> None:
    bench.start(canaries=["TH-CANARY"])
    bench.report("TH-CANARY", *BAD)
    assert bench.tick(1).state is PlanState.HALTED
    bench.clock.pass_seconds(1)
    assert rollouts.resume(bench.rollout).failed == 0
    assert bench.tick(10).admitted_ppm == 250_000
    for device in bench.admitted(2):
        bench.report(device, *BAD)
    assert bench.tick().state is PlanState.HALTED


def test_a_second_rollout_waits_for_the_first(bench: Bench, home: Home, tmp_path: Path) -> None:
    bench.rollout.repository.add_release(make_release(home, tmp_path, "1.2.0"))
    bench.start()
    with pytest.raises(Rejected, match="running") as caught:
        bench.start(version="1.2.0")
    assert caught.value.reason == "already-running"
    rollouts.pause(bench.rollout)
    assert bench.start(version="1.2.0").version == "1.2.0"
    assert bench.plan().admitted_ppm == 250_000


def test_a_withdrawn_release_is_remembered_by_every_later_plan(
    bench: Bench, home: Home, tmp_path: Path
) -> None:
    bench.start()
    assert rollouts.withdraw(bench.rollout, "1.1.0", reason="eats data").state is (
        PlanState.WITHDRAWN
    )
    assert bench.plan().withdrawn == (bench.digest,)
    for command in (lambda: rollouts.resume(bench.rollout), bench.start):
        with pytest.raises(Rejected) as caught:
            command()
        assert caught.value.reason == "withdrawn"
    bench.rollout.repository.add_release(make_release(home, tmp_path, "1.2.0"))
    bench.start(version="1.2.0")
    assert bench.plan().withdrawn == (bench.digest,)
    assert bench.plan().state is PlanState.RUNNING


def test_a_release_can_be_withdrawn_before_any_rollout_and_after_another(
    bench: Bench, home: Home, tmp_path: Path
) -> None:
    rollouts.withdraw(bench.rollout, "1.1.0")
    assert bench.plan().withdrawn == (bench.digest,)
    newer = bench.rollout.repository.add_release(make_release(home, tmp_path, "1.2.0"))
    bench.start(version="1.2.0")
    bench.rollout.repository.add_release(make_release(home, tmp_path, "1.3.0"))
    rollouts.withdraw(bench.rollout, "1.3.0")
    assert bench.plan().state is PlanState.RUNNING
    assert bench.plan().release is not None
    assert bench.plan().release.manifest_sha256 == newer.manifest_sha256
    assert len(bench.plan().withdrawn) == 2


def test_an_unpublished_version_and_a_leap_are_refused(
    bench: Bench, home: Home, tmp_path: Path
) -> None:
    with pytest.raises(Rejected, match="not published"):
        bench.start(version="7.0.0")
    slow = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=100_000)
    bench.rollout.repository.add_release(make_release(home, tmp_path, "1.2.0", bounds=slow))
    with pytest.raises(Rejected) as caught:
        bench.start(version="1.2.0")
    assert caught.value.reason == "out-of-bounds"
    assert rollouts.status(bench.rollout).version is None


def test_a_revoked_release_stays_in_the_records_and_is_rolled_out_no_more(
    bench: Bench, home: Home
) -> None:
    bench.start()
    rollouts.withdraw(bench.rollout, "1.1.0", reason="eats data")
    signing = next_releases(home, manifest_path(MODEL, "1.1.0"), b"")
    del signing.targets.targets[manifest_path(MODEL, "1.1.0")]
    bench.rollout.repository.revoke("1.1.0", signing.data())
    assert bench.tick(1).state is PlanState.WITHDRAWN
    assert bench.plan().withdrawn == (bench.digest,)
    with pytest.raises(Rejected) as refused:
        bench.start()
    assert refused.value.reason == "unknown-release"


def test_a_ring_that_the_offline_keys_make_wait_starts_no_rollout(
    bench: Bench, home: Home, tmp_path: Path
) -> None:
    """The plan that names it is signed online: only `ahead`, signed offline, lets it go first."""
    ramp = Bounds(not_before=NOW, minimum_duration_seconds=90 * 86400, largest_step_ppm=10**6)
    ahead = (ahead_tag("1.3.0", "TH-CANARY"),)
    for version, bounds in (("1.2.0", ramp), ("1.3.0", replace(ramp, ahead=ahead))):
        release = make_release(home, tmp_path, version, bounds=bounds)
        bench.rollout.repository.add_release(release)
    with pytest.raises(Rejected) as refused:
        bench.start(version="1.2.0", canaries=["TH-CANARY"])
    assert (refused.value.reason, refused.value.hint) == (
        "out-of-bounds",
        "build it with --ahead TH-CANARY",
    )
    assert rollouts.status(bench.rollout).version is None
    assert bench.start(version="1.3.0", canaries=["TH-CANARY"]).state is PlanState.RUNNING


def test_an_emergency_is_as_fast_as_the_release_was_signed_for_and_no_faster(
    bench: Bench, home: Home, tmp_path: Path
) -> None:
    bounds = Bounds(
        not_before=NOW,
        minimum_duration_seconds=3600,
        largest_step_ppm=400_000,
        ahead=(ahead_tag("1.2.0", "TH-CANARY"),),
    )
    release = bench.rollout.repository.add_release(
        make_release(home, tmp_path, "1.2.0", bounds=bounds)
    )
    bench.digest = release.manifest_sha256
    status = rollouts.start(
        bench.rollout,
        "1.2.0",
        shares_ppm=None,
        wait_seconds=0,
        canaries=["TH-CANARY"],
        test=TEST,
        check_interval_seconds=1,
    )
    assert status.history[0].detail == "4 steps, an emergency"
    assert bench.tick(600).waiting_for == "canaries"  # rings go first, whatever the hurry
    bench.report("TH-CANARY", *GOOD)
    shares = []
    for _ in range(400):
        status = bench.tick(10)
        assert status.admitted_ppm - bench.plan().previous_ppm <= 400_000
        shares += [status.admitted_ppm] if status.admitted_ppm not in shares else []
        elapsed = (bench.clock() - NOW).total_seconds()
        assert status.admitted_ppm <= 1_000_000 * elapsed / 3600 + 400_000
    assert shares == [400_000, 800_000, 1_000_000]
    assert status.complete
    assert bench.plan().check_interval_seconds == 1


def test_an_emergency_is_halted_and_withdrawn_like_any_rollout(bench: Bench) -> None:
    rollouts.start(bench.rollout, "1.1.0", shares_ppm=None, wait_seconds=0, test=TEST)
    for device in bench.admitted(2):
        bench.report(device, *BAD)
    assert bench.tick().state is PlanState.HALTED
    assert rollouts.withdraw(bench.rollout, "1.1.0").state is PlanState.WITHDRAWN


def test_bounds_that_never_reach_the_fleet_are_no_emergency(
    bench: Bench, home: Home, tmp_path: Path
) -> None:
    tiny = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=10_000)
    bench.rollout.repository.add_release(make_release(home, tmp_path, "1.2.0", bounds=tiny))
    with pytest.raises(Rejected) as refused:
        rollouts.start(bench.rollout, "1.2.0", shares_ppm=None, wait_seconds=0)
    assert refused.value.reason == "out-of-bounds"


@pytest.mark.parametrize("writes", [1, 2, 3, 4])
def test_a_cut_between_row_and_plan_is_made_good_by_the_next_tick(
    bench: Bench, home: Home, writes: int
) -> None:
    bench.start()
    cut = Rollout(
        home=home,
        database=bench.rollout.database,
        repository=Repository(home, bench.clock, after_write=CutAfter(writes)),
        clock=bench.clock,
    )
    with pytest.raises(Cut):
        rollouts.pause(cut, reason="now")
    assert rollouts.status(bench.rollout).state is PlanState.PAUSED
    bench.tick()
    assert bench.plan().state is PlanState.PAUSED


def test_a_withdrawal_that_was_cut_off_is_published_by_the_next_tick(
    bench: Bench, home: Home
) -> None:
    cut = Rollout(
        home=home,
        database=bench.rollout.database,
        repository=Repository(home, bench.clock, after_write=CutAfter(1)),
        clock=bench.clock,
    )
    with pytest.raises(Cut):
        rollouts.withdraw(cut, "1.1.0")
    assert bench.plan().withdrawn == ()
    bench.tick()
    assert bench.plan().withdrawn == (bench.digest,)


def test_service_and_command_line_at_once_lose_nothing(bench: Bench) -> None:
    bench.start()
    failures: list[BaseException] = []

    def tick_often() -> None:
        try:
            for _ in range(15):
                rollouts.tick(bench.rollout)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=tick_often) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        rollouts.pause(bench.rollout)
        rollouts.resume(bench.rollout)
    for thread in threads:
        thread.join(60)
    assert not failures
    history = [entry.event for entry in rollouts.status(bench.rollout).history]
    assert history == ["started", "advanced"] + ["paused", "resumed"] * 5
    assert bench.plan().state is PlanState.RUNNING


def test_the_bounds_come_from_the_signed_manifest(bench: Bench) -> None:
    assert bench.rollout.repository.find_release("1.1.0").manifest.bounds == ANY_STEP
