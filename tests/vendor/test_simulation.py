"""A rollout in a simulated fleet: the real decisions, and devices that check, install and fail."""

import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as xml

import msgspec
import pytest

from limpet.errors import Rejected
from limpet.vendor.rollout import (
    DEFAULT_TEST,
    Fleet,
    Limits,
    Run,
    Schedule,
    draw_forecast,
    find_breaches,
    forecast,
    simulate,
)

HOUR, DAY = 3600, 86400
PLAN = Schedule(
    shares_ppm=(10_000, 50_000, 250_000, 500_000, 750_000, 1_000_000),
    wait_seconds=HOUR,
    silent_seconds=HOUR,
    minimum_duration_seconds=7 * DAY,
    largest_step_ppm=250_000,
    test=DEFAULT_TEST,
)
FAST = replace(PLAN, minimum_duration_seconds=0)


def fleet(
    devices: int, *, rings: tuple[int, ...] = (), bricked: float = 0.5, hostile: int = 0
) -> Fleet:
    return Fleet(
        devices=devices,
        next_check=lambda rng: HOUR * (0.5 + rng.random()),
        longest_wait=1.5 * HOUR,
        ring_sizes=rings,
        bricked_share=bricked,
        hostile=hostile,
    )


def run(some: Fleet, failing: float, *, seed: int = 1, plan: Schedule = PLAN) -> Run:
    return simulate(some, plan, failing=failing, rng=random.Random(seed))  # noqa: S311


def test_a_good_release_reaches_every_device_within_the_ramp_and_the_last_step() -> None:
    done = run(fleet(1000, rings=(5,)), 0.0)
    assert (done.took, done.broken, done.halted_after) == (1000, 0, None)
    assert done.completed_after is not None
    assert 7 * DAY <= done.completed_after <= 7 * DAY + 3 * HOUR


def test_nobody_takes_a_release_before_the_signed_ramp_has_come_to_its_place() -> None:
    devices = 2000
    done = run(fleet(devices), 0.0)
    for at, taken in done.taken.points:
        assert taken <= devices * at / (7 * DAY) + 60  # the queue is a hash: not perfectly even
    steps = [ppm for _, ppm in done.admitted.points]
    assert steps == [0, *PLAN.shares_ppm]


def test_a_release_that_fails_everywhere_goes_no_further_than_the_ring() -> None:
    for seed in range(5):
        bad = run(fleet(5000, rings=(5,)), 1.0, seed=seed)
        assert bad.halted_after is not None
        assert bad.took <= 5


@pytest.mark.parametrize("bricked", [0.0, 1.0])
def test_devices_that_fall_silent_stop_a_rollout_as_those_that_fall_back_do(bricked: float) -> None:
    """What hawkBit's issue 693 is about: with every failure silent it must still halt."""
    for seed in range(3):
        bad = run(fleet(20_000, bricked=bricked), 0.2, seed=seed, plan=FAST)
        assert bad.halted_after is not None
        assert bad.bricked == (bad.broken if bricked else 0)
        assert bad.took < 400


def test_a_device_that_writes_when_the_halt_comes_does_not_activate() -> None:
    some = fleet(20_000, bricked=0.0)
    bad = run(some, 1.0, plan=FAST)
    assert bad.halted_after is not None
    assert bad.last_activation - bad.halted_after + some.cache_seconds > 0
    assert bad.last_activation <= bad.halted_after + some.cache_seconds


def test_three_hostile_devices_neither_halt_nor_hold_a_good_release() -> None:
    """They wait for each other and fail all at once."""
    some = fleet(1000, hostile=3)
    assert all(run(some, 0.0, seed=seed).completed_after is not None for seed in range(5))
    believing = replace(FAST, test=replace(DEFAULT_TEST, distrust=0))
    wary = replace(FAST, test=replace(DEFAULT_TEST, distrust=7))
    seven = fleet(1000, hostile=7)
    stopped = [run(seven, 0.0, seed=s, plan=believing).halted_after is not None for s in range(9)]
    assert sum(stopped) >= 5, "without distrust, seven do"
    assert all(run(seven, 0.0, seed=s, plan=wary).completed_after is not None for s in range(9))


def test_a_two_percent_release_stops_in_a_large_fleet_and_half_a_percent_goes_through() -> None:
    some = fleet(20_000)
    bad = [run(some, 0.02, seed=seed, plan=FAST) for seed in range(3)]
    assert all(one.halted_after is not None or one.held == "evidence" for one in bad)
    assert max(one.broken for one in bad) < 60
    assert run(some, 0.005, plan=FAST).completed_after is not None


def test_bricked_devices_that_are_known_late_are_no_release_that_turned_bad() -> None:
    """In the order of results a step's silent failures come after its successes, and in a clump."""
    some = fleet(20_000, bricked=1.0)
    done = [run(some, 0.004, seed=seed, plan=FAST) for seed in range(3)]
    assert all(one.completed_after is not None for one in done)
    assert min(one.bricked for one in done) > 40


def test_the_same_seed_tells_the_same_story() -> None:
    some = fleet(500, rings=(3, 10))
    assert run(some, 0.05, seed=7) == run(some, 0.05, seed=7)
    assert run(some, 0.05, seed=7) != run(some, 0.05, seed=8)


@pytest.mark.parametrize(
    ("some", "plan"),
    [
        (fleet(0), PLAN),
        (fleet(10_000_000), PLAN),
        (fleet(5, rings=(4, 4)), PLAN),
        (fleet(5), replace(PLAN, silent_seconds=500)),
        (fleet(5), replace(PLAN, shares_ppm=(1_000_000,))),
    ],
)
def test_what_makes_no_scenario_is_refused(some: Fleet, plan: Schedule) -> None:
    with pytest.raises(Rejected):
        run(some, 0.1, plan=plan)


def test_a_forecast_keeps_or_breaks_its_limits() -> None:
    told, worse, better = forecast(fleet(200), FAST, bad=0.5, good=0.0, runs=5, seed=1)
    assert told.bad.halted + told.bad.held == 5
    assert told.good.completed == 5
    assert worse.completed_after is None
    assert better.took == 200
    assert told.bad.broken.half <= told.bad.broken.nine_tenths <= told.bad.broken.most
    assert find_breaches(told, Limits(broken=200, hours=24, false_stops=0.0)) == ()
    broken = find_breaches(told, Limits(broken=1, hours=1))
    assert [one.limit for one in broken] == ["broken", "hours"]


def test_the_picture_shows_both_releases_and_loads_nothing() -> None:
    bad, good = run(fleet(300), 0.5), run(fleet(300), 0.0)
    drawn = draw_forecast(bad, good, devices=300, bad_rate=0.5, good_rate=0.0)
    root = xml.fromstring(drawn)  # noqa: S314 - our own
    names = {one.tag.partition("}")[2] for one in root.iter()}
    assert names == {"svg", "title", "style", "rect", "text", "line", "polyline"}
    assert len(root.findall("{*}polyline")) == 4
    texts = " ".join("".join(one.itertext()) for one in root.findall("{*}text"))
    for word in ("fails on 50.00%", "fails on 0.00%", "hours from the start", "% of the fleet"):
        assert word in texts
    assert "halted after" in texts or "held" in texts


def test_the_command_prints_draws_and_fails_where_a_limit_is_broken(tmp_path: Path) -> None:
    picture = tmp_path / "forecast.svg"
    words = ["--devices", "300", "--bad", "100%", "--runs", "3", "--ring", "4", "--json"]

    def simulated(*more: str) -> "subprocess.CompletedProcess[bytes]":
        command = [sys.executable, "-m", "limpet", "rollout", "simulate", *words, *more]
        return subprocess.run(command, capture_output=True, check=False, timeout=120)

    kept = simulated("--svg", str(picture), "--at-most-broken", "4", "--at-most-hours", "200")
    assert kept.returncode == 0, kept.stderr
    told = msgspec.json.decode(kept.stdout)
    assert told["breaches"] == []
    assert told["forecast"]["bad"]["halted"] == 3
    assert picture.read_text().startswith("<svg ")
    nowhere = simulated("--svg", str(tmp_path / "nowhere" / "forecast.svg"))
    assert (nowhere.returncode, nowhere.stdout) == (3, b"")  # before it works, not after
    broken = simulated("--at-most-broken", "0")
    assert broken.returncode == 1
    assert msgspec.json.decode(broken.stdout)["breaches"][0]["limit"] == "broken"


@pytest.mark.slow
def test_a_hundred_thousand_devices_are_simulated_in_seconds() -> None:
    begun = time.process_time()
    assert run(fleet(100_000), 0.001).took == 100_000
    assert time.process_time() - begun < 30
