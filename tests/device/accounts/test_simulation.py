"""R2.2.1: guessers of any number, in simulation, against the real guard and its records."""

import dataclasses
from pathlib import Path

import pytest
from bench.guessing import CAMPAIGNS, Campaign, promised, simulate

from limpet.device.accounts.throttle import CLAIM, PASSWORD

HOURS = 3.0
SHORT = [dataclasses.replace(one, hours=min(one.hours, HOURS), rate=0.5) for one in CAMPAIGNS]


@pytest.mark.parametrize("campaign", SHORT, ids=lambda one: one.name)
def test_every_campaign_gets_what_is_documented_and_no_more(
    campaign: Campaign, tmp_path: Path
) -> None:
    outcome = simulate(campaign, tmp_path, seed=1)
    assert outcome.tried > 0.4 * campaign.rate * campaign.hours * 3600
    assert PASSWORD.burst <= outcome.checked <= outcome.bound
    assert outcome.owner_refused == 0
    if not campaign.forged_clock:
        assert outcome.bound == PASSWORD.burst + PASSWORD.per_hour * campaign.hours
        assert outcome.worst_hour <= PASSWORD.burst + PASSWORD.per_hour
    if campaign.restart_every:
        assert outcome.restarts >= 2


def test_the_campaigns_go_from_one_source_to_100_000_and_over_both_families() -> None:
    assert {one.sources for one in CAMPAIGNS} >= {1, 256, 100_000}
    assert {one.ipv6 for one in CAMPAIGNS} == {True, False}
    assert any(one.accounts > 1 for one in CAMPAIGNS)
    assert any(one.restart_every for one in CAMPAIGNS)


def test_the_simulation_shows_a_rule_that_lets_too_many_through(tmp_path: Path) -> None:
    lax = Campaign(name="lax", sources=1000, rate=1.0, hours=1, policy=CLAIM)
    outcome = simulate(lax, tmp_path, seed=1)
    assert outcome.checked > promised(lax, outcome.restarts)
