"""The whole product: its real app on a fake clock."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from thermostat.control import BAND_KELVIN
from thermostat.regulator import Regulator
from thermostat.sensor import SensorFault, find_kernel_sensor, read_celsius

from limpet.device.app import Access, Rejected
from limpet.device.app.testing import Simulator

Thermostat = Simulator[Regulator]
HOUR = 3600.0


def line(thermostat: Thermostat) -> bytes:
    return (thermostat.directory / "heater").read_bytes()


def break_sensor(thermostat: Thermostat, monkeypatch: pytest.MonkeyPatch, raw: int) -> None:
    sensor = thermostat.product._sensor
    monkeypatch.setattr(sensor, "read_millidegrees", lambda: raw, raising=True)


def test_it_warms_the_room_and_then_holds_it_within_the_band(thermostat: Thermostat) -> None:
    thermostat.call("set_target", celsius=21.5)
    thermostat.advance(60)
    assert thermostat.call("status")["heating"] is True
    assert line(thermostat) == b"1\n"
    thermostat.advance(2 * HOUR)
    switched, previous = 0, line(thermostat)
    for _ in range(6 * 360):  # six hours, every ten seconds
        thermostat.advance(10)
        assert thermostat.call("temperature") == pytest.approx(21.5, abs=BAND_KELVIN + 0.1)
        switched += line(thermostat) != previous
        previous = line(thermostat)
    assert 2 <= switched <= 80  # it does control, and spares the relay
    assert thermostat.health() == (True, "")


def test_the_heater_is_off_after_a_stop_and_at_every_start(thermostat: Thermostat) -> None:
    thermostat.call("set_target", celsius=28)
    thermostat.advance(30)
    assert line(thermostat) == b"1\n"
    thermostat.restart(after_crash=True)
    assert line(thermostat) == b"0\n"
    thermostat.advance(30)
    assert line(thermostat) == b"1\n"
    thermostat.instance.stop()
    assert line(thermostat) == b"0\n"


def test_the_guard_would_switch_the_heater_off_if_the_app_were_killed(
    thermostat: Thermostat,
) -> None:
    (write,) = thermostat.guard.armed
    assert write.path == thermostat.directory / "heater"
    assert write.data == b"0\n"


@pytest.mark.parametrize("raw", [180_000, -127_000, 1_800])  # wrong unit, broken wire, …
def test_an_implausible_measurement_is_unhealthy_and_switches_off(
    thermostat: Thermostat, monkeypatch: pytest.MonkeyPatch, raw: int
) -> None:
    thermostat.call("set_target", celsius=28)
    thermostat.advance(30)
    assert line(thermostat) == b"1\n"
    break_sensor(thermostat, monkeypatch, raw)
    if raw == 1_800:  # plausible, so that this test can tell the difference
        thermostat.advance(4)
        assert thermostat.health()[0]
        return
    thermostat.advance(4)
    assert line(thermostat) == b"0\n"
    healthy, reason = thermostat.health()
    assert not healthy
    assert "cannot be true" in reason
    with pytest.raises(Rejected, match="cannot be true"):
        thermostat.call("temperature")
    assert any(event == "sensor-fault" for event, _, _ in thermostat.log)


def test_a_turn_that_breaks_leaves_the_heater_off_and_shows_in_the_health(
    thermostat: Thermostat, monkeypatch: pytest.MonkeyPatch
) -> None:
    thermostat.call("set_target", celsius=28)
    thermostat.advance(30)

    def broken() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(thermostat.product, "target", broken)
    thermostat.advance(4)
    assert line(thermostat) == b"0\n"
    assert "loop control fails: ZeroDivisionError" in thermostat.health()[1]


def test_a_line_that_something_else_changed_is_unhealthy_and_put_right(
    thermostat: Thermostat,
) -> None:
    thermostat.call("set_mode", mode="off")
    thermostat.advance(10)
    (thermostat.directory / "heater").write_bytes(b"1\n")
    assert thermostat.health() == (False, "the heater's output does not follow")
    thermostat.advance(2)
    assert line(thermostat) == b"0\n"
    assert thermostat.health()[0]


def test_settings_and_room_survive_a_restart(thermostat: Thermostat) -> None:
    thermostat.call("set_target", celsius=23)
    thermostat.advance(3 * HOUR)
    before = thermostat.call("temperature")
    thermostat.restart()
    thermostat.advance(2)
    assert thermostat.call("status")["target"] == 23
    assert thermostat.call("temperature") == pytest.approx(before, abs=0.3)


def test_a_damaged_settings_file_is_set_aside_and_the_room_still_heated(
    thermostat: Thermostat,
) -> None:
    thermostat.call("set_target", celsius=25)
    (path,) = thermostat.directory.glob("settings.*.json")
    path.write_bytes(path.read_bytes()[:-9])
    thermostat.restart()
    thermostat.advance(2)
    assert thermostat.call("status")["target_reason"] == "default"
    assert path.with_name(path.name + ".damaged").exists()
    assert any(event == "state-damaged" for event, _, _ in thermostat.log)


def test_the_schedule_acts_across_midnight(thermostat: Thermostat) -> None:
    week = [
        {"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "at": at, "celsius": celsius}
        for at, celsius in (("06:30", 21.0), ("22:30", 16.0))
    ]
    thermostat.call("set_schedule", entries=week)
    thermostat.advance(22 * HOUR)
    assert thermostat.call("status")["target"] == 21.0
    thermostat.advance(3 * HOUR)  # 01:00 on Tuesday
    assert thermostat.call("status")["target"] == 16.0
    thermostat.call("set_target", celsius=19.5)
    assert thermostat.call("status")["hold_until"] == "2026-01-06T06:30:00Z"
    thermostat.advance(5.5 * HOUR)
    assert thermostat.call("status")["target_reason"] == "schedule"


def test_a_boost_ends_by_itself(thermostat: Thermostat) -> None:
    thermostat.call("boost", minutes=20)
    assert thermostat.call("status")["target_reason"] == "boost"
    thermostat.advance(20 * 60)
    assert thermostat.call("status")["target_reason"] == "default"


def test_history_is_kept_each_minute_thinned_and_bounded(thermostat: Thermostat) -> None:
    thermostat.advance(24 * HOUR)
    samples = thermostat.call("history", hours=24)
    assert 400 <= len(samples) <= 500
    assert samples == sorted(samples, key=lambda sample: sample["at"])
    assert len(thermostat.call("history", hours=0.5)) in (30, 31)
    used = sum(path.stat().st_size for path in thermostat.directory.glob("history.*"))
    assert 0 < used <= 8 * (128 << 10)


@pytest.mark.parametrize(
    ("name", "arguments", "field"),
    [
        ("set_target", {"celsius": 90}, "celsius"),
        ("set_target", {"celsius": "warm"}, "celsius"),
        ("set_target", {}, "celsius"),
        ("set_target", {"celsius": 20, "color": 1}, "color"),
        ("boost", {"minutes": -1}, "minutes"),
        ("history", {"hours": 1000}, "hours"),
        ("set_schedule", {"entries": [{"days": [], "at": "06:00", "celsius": 20}]}, "days"),
        ("set_schedule", {"entries": [{"days": ["mon"], "at": "24:00", "celsius": 20}]}, "at"),
        ("set_schedule", {"entries": [], "zone": "Atlantis/Main"}, "zone"),
        ("set_schedule", {"entries": [], "zone": "../../../etc/passwd"}, "zone"),
    ],
)
def test_bad_arguments_are_refused_by_name_and_change_nothing(
    thermostat: Thermostat, name: str, arguments: dict[str, object], field: str
) -> None:
    before = thermostat.call("status")
    with pytest.raises(Rejected, match=re.escape(field)) as refused:
        thermostat.call(name, **arguments)
    assert refused.value.reason == "bad-arguments"
    assert thermostat.call("status") == before


def test_a_viewer_reads_but_does_not_act(thermostat: Thermostat) -> None:
    thermostat.advance(2)
    assert thermostat.call("temperature", Access.VIEWER)
    with pytest.raises(Rejected) as refused:
        thermostat.call("set_target", Access.VIEWER, celsius=20)
    assert refused.value.reason == "forbidden"


def test_a_week_of_wrong_clock_does_not_stop_the_control(thermostat: Thermostat) -> None:
    thermostat.clock.set_time(datetime(1970, 1, 1, tzinfo=UTC))
    thermostat.advance(3 * HOUR)
    assert thermostat.call("temperature") == pytest.approx(19, abs=0.5)
    assert thermostat.health()[0]


def test_the_machines_own_sensor_is_read_in_millidegrees(tmp_path: Path) -> None:
    zone = tmp_path / "thermal_zone0" / "temp"
    zone.parent.mkdir()
    zone.write_text("41250\n")
    sensor = find_kernel_sensor(tmp_path)
    assert sensor is not None
    assert read_celsius(sensor) == 41.25
    zone.write_text("rubbish\n")
    with pytest.raises(SensorFault):
        read_celsius(sensor)
    assert find_kernel_sensor(tmp_path) is None
    assert find_kernel_sensor(tmp_path / "nowhere") is None
