"""The thermometer: the machine's own sensor where there is one, else the model of a room.

Owns the way from a raw number to degrees Celsius, and the judgement whether it
can be true. Both sensors count in millidegrees, as Linux's thermal zones do
(Documentation/ABI/testing/sysfs-class-thermal). Files are opened at the start,
because the confined app can open none outside its own directory.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

__all__ = ["KernelSensor", "Sensor", "SensorFault", "find_kernel_sensor", "read_celsius"]

MILLIDEGREES_PER_DEGREE = 1000
MAX_ZONES = 64
READ_BYTES = 32


class SensorFault(Exception):
    """There is no measurement that one may act on, and why."""


class Sensor(Protocol):
    """Something that measures. `plausible` is the range of true values in °C."""

    @property
    def name(self) -> str:
        """Which sensor this is."""

    @property
    def plausible(self) -> tuple[float, float]:
        """Lowest and highest."""

    def read_millidegrees(self) -> int:
        """The raw measurement. Raises `SensorFault`."""


@dataclass(frozen=True, slots=True)
class KernelSensor:
    """A thermal zone of the kernel, already opened."""

    name: str
    descriptor: int
    plausible: tuple[float, float] = (-30.0, 110.0)

    def read_millidegrees(self) -> int:
        """The zone's `temp`, as the kernel gives it."""
        try:
            return int(os.pread(self.descriptor, READ_BYTES, 0))
        except (OSError, ValueError) as error:
            raise SensorFault(f"{self.name} cannot be read: {error}") from error


def find_kernel_sensor(zones: Path) -> KernelSensor | None:
    """The first thermal zone below `zones` that gives a number, or None."""
    for zone in sorted(zones.glob("thermal_zone*/temp"))[:MAX_ZONES]:
        try:
            descriptor = os.open(zone, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        sensor = KernelSensor(zone.parent.name, descriptor)
        try:
            sensor.read_millidegrees()
        except SensorFault:
            os.close(descriptor)
            continue
        return sensor
    return None


def read_celsius(sensor: Sensor) -> float:
    """The measurement in °C. Raises `SensorFault` if there is none or it cannot be true."""
    celsius = sensor.read_millidegrees() / MILLIDEGREES_PER_DEGREE
    low, high = sensor.plausible
    if not low <= celsius <= high:
        raise SensorFault(f"{sensor.name} says {celsius:.1f} °C, which cannot be true")
    return celsius
