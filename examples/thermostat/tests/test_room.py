"""The physics of the modelled room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermostat.room import SMALL_ROOM, next_temperature

TEMPERATURES = st.floats(-20, 40)
SPANS = st.floats(0, 100_000)


@given(TEMPERATURES, SPANS, SPANS, st.booleans())
def test_two_steps_are_as_one_of_their_sum(start: float, a: float, b: float, heating: bool) -> None:
    halfway = next_temperature(SMALL_ROOM, start, heating=heating, seconds=a)
    twice = next_temperature(SMALL_ROOM, halfway, heating=heating, seconds=b)
    assert twice == pytest.approx(
        next_temperature(SMALL_ROOM, start, heating=heating, seconds=a + b), abs=1e-6
    )


@given(TEMPERATURES, SPANS)
def test_heating_never_makes_it_colder_than_not_heating(start: float, seconds: float) -> None:
    cold = next_temperature(SMALL_ROOM, start, heating=False, seconds=seconds)
    assert next_temperature(SMALL_ROOM, start, heating=True, seconds=seconds) >= cold - 1e-9


def test_energy_is_balanced_over_a_short_step() -> None:
    room, start = SMALL_ROOM, 20.0
    warmer = next_temperature(room, start, heating=True, seconds=1.0)
    lost = (start - room.outside_celsius) / room.kelvin_per_watt
    expected = (room.heater_watts - lost) / room.joules_per_kelvin
    assert warmer - start == pytest.approx(expected, rel=1e-3)


def test_without_heating_the_room_ends_as_cold_as_the_outside() -> None:
    end = next_temperature(SMALL_ROOM, 20.0, heating=False, seconds=1e7)
    assert end == pytest.approx(SMALL_ROOM.outside_celsius)
