"""The thermostat at work: measures, decides, switches, remembers.

Owns the running product: its sensor, its output, its settings and its history.
Decisions are in `control` and `schedule`. Whatever goes wrong in a turn, the
heater is off at its end.
"""

from datetime import UTC, datetime, timedelta

import msgspec

from limpet.device.app import Device, Rejected, SafeWrite, Unhealthy
from thermostat.control import Decision, Relay, decide_heating
from thermostat.hardware import HARDWARE, Hardware
from thermostat.heater import OFF, FileOutput, HeaterFault, HeaterOutput
from thermostat.room import SMALL_ROOM, RoomSensor
from thermostat.schedule import Hold, Period, Settings, Target, decide_target, next_change
from thermostat.sensor import Sensor, SensorFault, find_kernel_sensor, read_celsius

__all__ = ["Regulator", "Sample"]

FRESH_SECONDS = 10.0
MAX_SAMPLES = 7 * 24 * 60
DEFAULT_ROOM_CELSIUS = 18.0
ROOM_MEMORY = timedelta(hours=12)


class Sample(msgspec.Struct, frozen=True):
    """One line of the history; `at` in UTC, temperatures in °C."""

    at: datetime
    celsius: float | None
    target: float
    heating: bool


class Regulator:
    """One running thermostat."""

    def __init__(self, device: Device, hardware: Hardware = HARDWARE) -> None:
        self._clock, self._log = device.clock, device.log
        path = hardware.heater_line or device.data / "heater"
        self._output: HeaterOutput = FileOutput(path)
        device.when_this_process_dies(SafeWrite(path, OFF))
        self._settings = device.state(Settings, "settings", default=Settings())
        self._history = device.history(Sample, "history", segment_bytes=128 << 10)
        self._sensor = self._open_sensor(hardware)
        self._relay = Relay.at_start(device.clock.monotonic())
        self._decision = Decision(False, "starting")
        self._celsius: float | None = None
        self._measured_at = float("-inf")
        self._fault = "no measurement yet"
        self._output_fault = ""

    # --- the loops ---

    def control(self) -> None:
        """One turn: measure, decide, switch. An unforeseen error leaves the heater off."""
        try:
            self._measure()
            self._decision = decide_heating(
                self._relay,
                celsius=self._celsius,
                target=self.target().celsius,
                now=self._clock.monotonic(),
            )
        except Exception:
            self._switch(Decision(False, "fault"))
            raise
        self._switch(self._decision)

    def record(self) -> None:
        """Add a sample to the history."""
        self._history.append(
            Sample(
                at=self._clock.now(),
                celsius=self._celsius,
                target=self.target().celsius,
                heating=self._relay.on,
            )
        )

    def stop(self) -> None:
        """Heater off."""
        self._output.set(False)

    # --- what people ask and set ---

    def measured(self) -> float:
        """The last measurement in °C. Raises `Rejected("sensor-fault")`."""
        if self._celsius is None:
            raise Rejected("sensor-fault", self._fault)
        return self._celsius

    def target(self) -> Target:
        """What is wanted now."""
        return decide_target(self._settings.value, self._clock.now())

    @property
    def celsius(self) -> float | None:
        """The last measurement in °C, or None while there is none to act on."""
        return self._celsius

    @property
    def settings(self) -> Settings:
        """What people chose."""
        return self._settings.value

    @property
    def decision(self) -> Decision:
        """What the controller last decided, and why."""
        return self._decision

    @property
    def sensor_name(self) -> str:
        """Which sensor measures."""
        return self._sensor.name

    def change(self, settings: Settings) -> None:
        """Make `settings` the choice; durable on return, in force at the next turn."""
        self._settings.replace(settings)

    def hold(self, celsius: float, hours: float | None) -> None:
        """Set by hand, for `hours`, else until the schedule's next change."""
        now = self._clock.now()
        until = next_change(self.settings, now) if hours is None else now + timedelta(hours=hours)
        self.change(msgspec.structs.replace(self.settings, hold=Hold(celsius, until), boost=None))

    def boost(self, minutes: int) -> None:
        """Heat up for `minutes`; 0 ends it."""
        now = self._clock.now()
        period = Period(now, now + timedelta(minutes=minutes)) if minutes else None
        self.change(msgspec.structs.replace(self.settings, boost=period))

    def samples(self, past: timedelta, limit: int) -> list[Sample]:
        """Samples of the time `past`, evenly thinned to at most `limit`, oldest first."""
        since = self._clock.now() - past
        newer = [sample for sample in self._history.read(MAX_SAMPLES) if sample.at > since]
        step = -(-len(newer) // limit) if newer else 1
        return newer[::-1][::step][::-1]

    # --- health ---

    def verify_health(self) -> None:
        """Raise `Unhealthy` unless there is a fresh, plausible measurement and the output obeys."""
        if self._celsius is None:
            raise Unhealthy(self._fault)
        age = self._clock.monotonic() - self._measured_at
        if age > FRESH_SECONDS:
            raise Unhealthy(f"the last measurement is {age:.0f} s old")
        try:
            follows = self._output.is_on() == self._relay.on
        except HeaterFault as error:
            raise Unhealthy(str(error)) from error
        if self._output_fault or not follows:
            raise Unhealthy(self._output_fault or "the heater's output does not follow")

    # --- inside ---

    def _measure(self) -> None:
        before = self._fault
        try:
            self._celsius = read_celsius(self._sensor)
            self._measured_at, self._fault = self._clock.monotonic(), ""
        except (SensorFault, HeaterFault) as error:  # the room model reads the heater
            self._celsius, self._fault = None, str(error)
            if self._fault != before:
                self._log("sensor-fault", self._fault, "error")

    def _switch(self, decision: Decision) -> None:
        if decision.on != self._relay.on:
            self._relay = Relay(decision.on, self._clock.monotonic())
        # Written every turn, so that a line which something else changed comes right again.
        try:
            self._output.set(decision.on)
            self._output_fault = ""
        except HeaterFault as error:
            if not self._output_fault:
                self._log("heater-fault", str(error), "error")
            self._output_fault = str(error)

    def _open_sensor(self, hardware: Hardware) -> Sensor:
        found = find_kernel_sensor(hardware.thermal_zones) if hardware.use_thermal_zone else None
        if found is not None:
            return found
        return RoomSensor(
            SMALL_ROOM,
            self._remembered_temperature(),
            seconds=self._clock.monotonic,
            is_heating=self._output.is_on,
        )

    def _remembered_temperature(self) -> float:
        """Where the modelled room stood before a restart, so that it does not jump."""
        last = self._history.read(1)
        now = self._clock.now().astimezone(UTC)
        if last and last[0].celsius is not None and abs(now - last[0].at) < ROOM_MEMORY:
            return last[0].celsius
        return DEFAULT_ROOM_CELSIUS
