"""The controller's decision."""

from hypothesis import given
from hypothesis import strategies as st
from thermostat.control import (
    BAND_KELVIN,
    MIN_OFF_SECONDS,
    MIN_ON_SECONDS,
    TOO_HOT_CELSIUS,
    Relay,
    decide_heating,
)

RELAYS = st.builds(Relay, st.booleans(), st.floats(0, 1000))
TARGETS = st.floats(5, 30)


@given(RELAYS, TARGETS, st.floats(0, 2000))
def test_without_a_measurement_nothing_heats(relay: Relay, target: float, now: float) -> None:
    assert not decide_heating(relay, celsius=None, target=target, now=now).on


@given(RELAYS, TARGETS, st.floats(0, 2000), st.floats(TOO_HOT_CELSIUS, 60))
def test_a_room_that_is_too_hot_is_not_heated(
    relay: Relay, target: float, now: float, celsius: float
) -> None:
    assert not decide_heating(relay, celsius=celsius, target=target, now=now).on


@given(RELAYS, TARGETS, st.floats(-30, 34.9), st.floats(0, 2000))
def test_the_relay_never_switches_before_its_minimum_time(
    relay: Relay, target: float, celsius: float, elapsed: float
) -> None:
    decision = decide_heating(relay, celsius=celsius, target=target, now=relay.changed + elapsed)
    minimum = MIN_ON_SECONDS if relay.on else MIN_OFF_SECONDS
    if elapsed < minimum * 0.999:
        assert decision.on == relay.on


def test_it_heats_below_the_band_and_stops_above_it_and_keeps_inside() -> None:
    def decide(on: bool, celsius: float) -> bool:
        return decide_heating(Relay(on, 0), celsius=celsius, target=20, now=1000).on

    assert decide(False, 20 - BAND_KELVIN)
    assert not decide(True, 20 + BAND_KELVIN)
    assert decide(True, 20.0)
    assert not decide(False, 20.0)
