"""A rollout of which a share of the fleet reports: who has a vote, and what it says of all."""

import itertools
import random
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.vendor.rollout_bench import BAD, GOOD, QUICK, SHARES, TEST, Bench
from tests.vendor.test_simulation import FAST, fleet, run
from tests.vendor.workshop import ANY_STEP, make_release

from limpet.cli.rollout import _print
from limpet.errors import Rejected
from limpet.vendor import rollout as rollouts
from limpet.vendor.home import Home
from limpet.vendor.rollout import DEFAULT_TEST, run_test
from limpet.vendor.rollout.health import Health
from limpet.wire.report import ReportKind
from limpet.wire.rollout import PlanState, is_sampled, position

TENTH = 100_000
LEAST = 20_000


@pytest.fixture
def sampled(bench: Bench, home: Home, tmp_path: Path) -> Bench:
    """The bench with a release of which at least 2 % of the fleet report."""
    bounds = msgspec.structs.replace(ANY_STEP, report_ppm=LEAST)
    release = make_release(home, tmp_path, "1.2.0", bounds=bounds)
    bench.digest = bench.rollout.repository.add_release(release).manifest_sha256
    return bench


def start(bench: Bench, report_ppm: int | None, *, canaries: tuple[str, ...] = ()) -> None:
    rollouts.start(
        bench.rollout,
        "1.2.0",
        shares_ppm=SHARES,
        test=TEST,
        canaries=canaries,
        report_ppm=report_ppm,
        **QUICK,
    )


def serials(bench: Bench, number: int, *, inside: bool) -> list[str]:
    """Devices of the first step, of the sample or not."""
    names = map("TH-{:04d}".format, itertools.count())
    admitted = (one for one in names if position(bench.digest, one) < SHARES[0])
    wanted = (one for one in admitted if is_sampled(bench.digest, one, TENTH) is inside)
    return list(itertools.islice(wanted, number))


def test_the_plan_carries_the_share_and_a_lower_one_than_signed_is_refused(sampled: Bench) -> None:
    with pytest.raises(Rejected) as refused:
        start(sampled, LEAST - 1)
    assert refused.value.reason == "out-of-bounds"
    assert "at least 2 %" in refused.value.message
    start(sampled, TENTH)
    assert sampled.plan().report_ppm == TENTH


def test_without_a_word_as_few_report_as_was_signed(sampled: Bench) -> None:
    start(sampled, None)
    assert sampled.plan().report_ppm == LEAST


def test_only_the_sample_votes_whoever_else_reports(sampled: Bench) -> None:
    """A thousand hostile devices must not weigh a thousand where a hundred of a fleet are asked."""
    start(sampled, TENTH)
    for device in serials(sampled, 5, inside=False):
        sampled.report(device, *BAD)
    status = sampled.tick()
    assert (status.state, status.failed) == (PlanState.RUNNING, 0)
    for device in serials(sampled, 2, inside=True):
        sampled.report(device, *BAD)
    status = sampled.tick()
    assert (status.state, status.failed) == (PlanState.HALTED, 2)


def test_a_device_of_the_sample_that_falls_silent_still_fails(sampled: Bench) -> None:
    start(sampled, TENTH)
    for device in serials(sampled, 2, inside=True):
        sampled.report(device, ReportKind.ATTEMPT)
    status = sampled.tick(101)
    assert (status.state, status.silent) == (PlanState.HALTED, 2)


def test_counts_are_extrapolated_to_the_fleet_and_rings_are_not(
    sampled: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    start(sampled, TENTH, canaries=("TH-CANARY",))
    sampled.report("TH-CANARY", *GOOD)
    sampled.tick(10)
    for device in serials(sampled, 30, inside=True):
        sampled.report(device, *GOOD)
    sampled.report(serials(sampled, 31, inside=True)[-1], *BAD)
    status = sampled.tick()
    assert (status.succeeded, status.failed, status.report_ppm) == (31, 1, TENTH)
    assert status.estimate is not None
    assert (status.estimate.succeeded, status.estimate.failed) == (301, 10)
    _print(status)
    said = "10 % of the fleet report: about 301 succeeded, 10 failed or silent in the fleet"
    assert said in capsys.readouterr().out


def test_a_whole_fleet_that_reports_needs_no_estimate(bench: Bench) -> None:
    assert bench.start().estimate is None


def test_a_sample_keeps_both_error_rates_and_lets_more_take_a_bad_release() -> None:
    """The real code over 20,000 devices: a tenth of them reports."""
    some, tenth = fleet(20_000), replace(FAST, report_ppm=TENTH)
    bad = [run(some, 0.1, seed=seed, plan=tenth) for seed in range(4)]
    all_report = [run(some, 0.1, seed=seed, plan=FAST) for seed in range(4)]
    assert all(one.halted_after is not None or one.held for one in bad + all_report)
    assert sum(one.took for one in bad) > 2 * sum(one.took for one in all_report)
    assert max(one.took for one in bad) < 4000
    assert all(run(some, 0.003, seed=s, plan=tenth).completed_after for s in range(3))


def test_a_bricked_sample_is_missed_though_nobody_else_reports() -> None:
    some = fleet(20_000, bricked=1.0)
    bad = run(some, 0.5, plan=replace(FAST, report_ppm=TENTH))
    assert bad.halted_after is not None
    assert bad.took < 2000


def test_a_ring_always_reports_so_that_a_tiny_sample_stops_what_fails_everywhere() -> None:
    one_in_ten_thousand = replace(FAST, report_ppm=100)
    assert run(fleet(5000, rings=(5,)), 1.0, plan=one_in_ten_thousand).took <= 5
    blind = run(fleet(5000), 1.0, seed=2, plan=one_in_ten_thousand)
    assert blind.took > 1000, "without one, the sample is too small for this fleet"


def test_hostile_devices_have_no_more_than_their_share_of_the_votes() -> None:
    """Thirty liars halt a whole fleet's rollout; of a tenth that is asked, about three are theirs,
    which is what the test distrusts."""
    many = fleet(5000, hostile=30)
    assert run(many, 0.0, plan=FAST).halted_after is not None
    tenth = replace(FAST, report_ppm=TENTH, test=replace(DEFAULT_TEST, distrust=8))
    assert all(run(many, 0.0, seed=s, plan=tenth).completed_after for s in range(3))


def test_telling_every_failure_and_few_successes_would_halt_good_releases() -> None:
    """The option that docs/adr/0137 refuses, on a release that fails as often as it may."""
    halted = {True: 0, False: 0}
    for seed in range(40):
        rng = random.Random(seed)  # noqa: S311
        fleet_wide = [(rng.random() >= 0.004, rng.random() < 0.1) for _ in range(20_000)]
        for loud in halted:
            told = [good for good, asked in fleet_wide if asked or (loud and not good)]
            halted[loud] += run_test(told, DEFAULT_TEST).health is Health.UNHEALTHY
    assert halted[True] == 40
    assert halted[False] <= 4
