"""A model of a room with one electric heater, for machines without a thermal sensor.

First order: the room has one temperature T, one thermal mass C, and loses heat
to an outside of constant temperature through one resistance R.

    C dT/dt = P u - (T - T_outside) / R         u is 1 while the heater is on, else 0

For constant u this has the exact solution

    T(t) = T_end + (T(0) - T_end) exp(-t / (R C))     T_end = T_outside + R P u

so that the model is exact for any step. With the constants below (a small, badly
insulated room) the heater warms it by up to 0.15 K a minute, it can hold 30 K
above the outside, and it cools with a time constant of 3 h 20 min.

Owns the physics. It knows no control and no files.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["SMALL_ROOM", "Room", "RoomSensor", "next_temperature"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The constants of one room."""

    heater_watts: float
    joules_per_kelvin: float
    kelvin_per_watt: float
    outside_celsius: float


SMALL_ROOM = Room(
    heater_watts=1500.0,
    joules_per_kelvin=600_000.0,
    kelvin_per_watt=0.02,
    outside_celsius=4.0,
)


def next_temperature(room: Room, celsius: float, *, heating: bool, seconds: float) -> float:
    """The room's temperature after `seconds` at constant heating, in °C."""
    power = room.heater_watts if heating else 0.0
    end = room.outside_celsius + room.kelvin_per_watt * power
    time_constant = room.kelvin_per_watt * room.joules_per_kelvin
    return end + (celsius - end) * math.exp(-seconds / time_constant)


class RoomSensor:
    """Measures the modelled room, which the heater really heats (see `Sensor`).

    `seconds` is a monotonic clock, `is_heating` asks the heater's output.
    """

    name = "room model"
    plausible = (-30.0, 60.0)

    def __init__(
        self,
        room: Room,
        celsius: float,
        *,
        seconds: Callable[[], float],
        is_heating: Callable[[], bool],
    ) -> None:
        self._room, self._celsius = room, celsius
        self._seconds, self._is_heating = seconds, is_heating
        self._last = seconds()

    def read_millidegrees(self) -> int:
        """The room now, to a hundredth of a degree as small sensors have it."""
        now = self._seconds()
        self._celsius = next_temperature(
            self._room, self._celsius, heating=self._is_heating(), seconds=now - self._last
        )
        self._last = now
        return round(self._celsius * 100) * 10
