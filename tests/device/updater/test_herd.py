"""A fleet of 10,000 whose server was away comes back spread, by the device's own timetable."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bench.herd import (
    HOUR,
    MOST_IN_TEN,
    MOST_WHILE_AWAY,
    PRODUCT,
    SCENARIOS,
    Scenario,
    main,
    simulate,
)

from limpet.device.link.messages import UpdatePolicy
from limpet.device.updater.check import CheckResult, Outcome
from limpet.device.updater.floor import Floor
from limpet.device.updater.schedule import seeded_random
from limpet.device.updater.timetable import Timetable
from limpet.firmware.decision import Hold
from limpet.product import Update, load_product

FEW = 3000
AWAY = Scenario(name="away", outage=6 * HOUR)


@pytest.fixture(scope="module")
def update() -> Update:
    return load_product(PRODUCT).update


@pytest.mark.parametrize(
    "scenario",
    [
        AWAY,
        Scenario(name="busy until a date", outage=6 * HOUR, names_the_end=True),
        Scenario(name="a city without power", outage=HOUR, restarts=True),
    ],
    ids=lambda scenario: scenario.name,
)
def test_the_return_is_no_herd(scenario: Scenario, update: Update) -> None:
    """By ten minutes: one minute of so few devices is chance."""
    herd = simulate(scenario, devices=FEW, update=update)
    assert herd.back_ten <= MOST_IN_TEN
    assert herd.away_ten <= MOST_WHILE_AWAY
    assert sum(herd.minutes) > FEW, "they did check"
    assert herd.most_seconds < 24 * HOUR, "and nobody is lost"


def test_a_fleet_with_a_fixed_retry_is_a_herd(update: Update) -> None:
    """The control: the instrument sees one."""
    herd = simulate(replace(AWAY, outage=HOUR, naive=True), devices=FEW, update=update)
    assert not herd.kept
    assert herd.back_minute > 50


def test_a_window_that_the_whole_fleet_came_with_is_no_herd(update: Update) -> None:
    """Two hours a night for all devices that nobody has set otherwise."""
    opens = datetime(2026, 11, 28, 2, tzinfo=UTC)
    hold = Hold("outside-window", "", until=opens, ends=opens + timedelta(hours=2))
    result = CheckResult(outcome=Outcome.HELD, floor=Floor(time=opens), hold=hold)
    before, minutes = opens - timedelta(minutes=30), Counter[int]()
    for number in range(FEW):
        random = seeded_random(f"D-{number}", b"")
        timetable = Timetable(update, monotonic=lambda: 0.0, random=random)
        wait = timetable.draw(UpdatePolicy(), result, now=before)
        minutes[int(wait // 60) - 30] += 1
    assert min(minutes) == 0, "not before it opens"
    assert max(minutes) < 90, "and with time left to install"
    assert max(minutes.values()) < FEW * 0.025, "90 minutes: 1.1 % in each, and chance"


@pytest.mark.slow
def test_ten_thousand_devices_keep_every_promise(update: Update) -> None:
    for scenario in SCENARIOS:
        if scenario.outage <= 6 * HOUR:
            herd = simulate(scenario, devices=10_000, update=update)
            assert herd.kept, herd.name


def test_the_command_prints_what_came_and_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So few devices keep no promise to the minute: the status says so."""
    picture = tmp_path / "herd.svg"
    assert main(["--devices", "50", "--json", "--picture", str(picture)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in told][:-1] == [one.name for one in SCENARIOS]
    drawn = picture.read_text()
    assert drawn.startswith("<svg")
    assert drawn.count("<polyline") == 6
    assert "http://" not in drawn.replace("http://www.w3.org/2000/svg", "")
