"""What the thermostat offers, to whom: the product's declarations.

Owns names, types, ranges and access levels; the work is in `regulator`. From
these declarations come the routes and the OpenAPI document.
"""

from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta

from limpet.device.app import Access, App
from thermostat.regulator import Regulator, Sample
from thermostat.schedule import (
    MAX_ENTRIES,
    Celsius,
    Entry,
    Mode,
    Settings,
    load_zone,
    verify_schedule,
)

__all__ = ["Schedule", "Status", "app"]

app = App(Regulator)

CONTROL_SECONDS = 2.0
RECORD_SECONDS = 60.0
HISTORY_SAMPLES = 500


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What the thermostat does and why; temperatures in °C, times in UTC."""

    celsius: float | None
    target: float
    target_reason: str
    heating: bool
    heating_reason: str
    mode: Mode
    hold_until: datetime | None
    boost_until: datetime | None
    sensor: str


class Schedule(msgspec.Struct, frozen=True):
    """The week's set points."""

    entries: tuple[Entry, ...]
    zone: str


@app.loop(every=CONTROL_SECONDS)
def control(regulator: Regulator) -> None:
    """Measure, decide, switch."""
    regulator.control()


@app.loop(every=RECORD_SECONDS)
def record(regulator: Regulator) -> None:
    """Keep the history."""
    regulator.record()


@app.health
def works(regulator: Regulator) -> None:
    """A plausible, fresh measurement, and an output that obeys."""
    regulator.verify_health()


@app.on_stop
def heater_off(regulator: Regulator) -> None:
    """Leave nothing on."""
    regulator.stop()


@app.reading(summary="The room's temperature", unit="°C")
def temperature(regulator: Regulator) -> float:
    """The last measurement."""
    return regulator.measured()


@app.reading(summary="What the thermostat does, and why")
def status(regulator: Regulator) -> Status:
    """Measurement, target, heater."""
    settings, target, decision = regulator.settings, regulator.target(), regulator.decision
    return Status(
        celsius=regulator.celsius,
        target=target.celsius,
        target_reason=target.reason,
        heating=decision.on,
        heating_reason=decision.reason,
        mode=settings.mode,
        hold_until=settings.hold.until if settings.hold else None,
        boost_until=settings.boost.end if settings.boost else None,
        sensor=regulator.sensor_name,
    )


@app.reading(summary="Past temperatures, oldest first")
def history(
    regulator: Regulator, hours: Annotated[float, Meta(gt=0, le=168)] = 24.0
) -> list[Sample]:
    """At most 500 samples of the last `hours`, evenly thinned."""
    return regulator.samples(timedelta(hours=hours), HISTORY_SAMPLES)


@app.reading(summary="The week's set points")
def schedule(regulator: Regulator) -> Schedule:
    """The schedule as it was set."""
    return Schedule(regulator.settings.schedule, regulator.settings.zone)


@app.action(summary="Set a temperature by hand, for some hours or until the schedule's next change")
def set_target(
    regulator: Regulator,
    celsius: Celsius,
    hours: Annotated[float, Meta(gt=0, le=168)] | None = None,
) -> Status:
    """Answers with the new status."""
    regulator.hold(celsius, hours)
    return status(regulator)


@app.action(summary="Replace the week's set points; none clears the schedule")
def set_schedule(
    regulator: Regulator,
    entries: Annotated[tuple[Entry, ...], Meta(max_length=MAX_ENTRIES)],
    zone: Annotated[str, Meta(max_length=64)] = "UTC",
) -> Schedule:
    """Ends a temperature set by hand. Answers with the schedule."""
    load_zone(zone)
    settings: Settings = msgspec.structs.replace(
        regulator.settings, schedule=verify_schedule(entries), zone=zone, hold=None
    )
    regulator.change(settings)
    return schedule(regulator)


@app.action(summary="Heat up for some minutes; 0 ends it")
def boost(regulator: Regulator, minutes: Annotated[int, Meta(ge=0, le=180)] = 30) -> Status:
    """Answers with the new status."""
    regulator.boost(minutes)
    return status(regulator)


@app.action(summary="Heat, or only protect from frost", access=Access.MEMBER)
def set_mode(regulator: Regulator, mode: Mode) -> Status:
    """Answers with the new status."""
    regulator.change(msgspec.structs.replace(regulator.settings, mode=mode))
    return status(regulator)
