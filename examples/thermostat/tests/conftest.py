"""The thermostat under test: its real app on a fake clock, with the modelled room."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parents[1] / "app"))

from thermostat import app
from thermostat.hardware import Hardware
from thermostat.regulator import Regulator

from limpet.device.app import Device
from limpet.device.app.testing import Simulator

# A machine that has much else to do is no fault of the app.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")

HARDWARE = Hardware(use_thermal_zone=False)


@pytest.fixture
def thermostat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator[Regulator]]:
    def start(device: Device) -> Regulator:
        return Regulator(device, HARDWARE)

    monkeypatch.setattr(app, "start", start)
    simulator = Simulator(app, tmp_path)
    yield simulator
    simulator.instance.stop()
