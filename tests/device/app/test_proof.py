"""What an app says of its health: every declared clause that fails is named, and only those."""

import asyncio
import threading
from pathlib import Path

import pytest

from limpet.device.app import Access, App, Device, Unhealthy
from limpet.device.app._proof import find_faults
from limpet.device.app._worker import Worker
from limpet.device.app.testing import Simulator
from limpet.product import HealthCheck


class Lamp:
    def __init__(self, device: Device) -> None:
        del device
        self.burnt, self.unknown = False, False
        self.go_on = threading.Event()


app = App(Lamp)


@app.reading(summary="Brightness")
def level(lamp: Lamp) -> int:
    if lamp.unknown:
        raise OSError("no answer on the bus")
    return 3


@app.reading(summary="Never ends", access=Access.OWNER)
def stuck(lamp: Lamp) -> int:
    lamp.go_on.wait(10)
    return 1


@app.reading(summary="Hours")
def hours(lamp: Lamp, since: int) -> int:
    return since


@app.action(summary="Burn the house down")
def burn(lamp: Lamp) -> None:
    lamp.burnt = True


@app.health
def shines(lamp: Lamp) -> None:
    if lamp.burnt:
        raise Unhealthy("the bulb is gone")


@pytest.fixture
def lamp(tmp_path: Path) -> Simulator[Lamp]:
    return Simulator(app, tmp_path)


def faults(lamp: Simulator[Lamp], *functions: str) -> list[str]:
    check = HealthCheck(functions=functions, answer_seconds=1)
    found = find_faults(check, lamp.instance, app.functions, Worker(), call_seconds=1)
    result = asyncio.run(found)
    lamp.product.go_on.set()
    return result


def test_a_product_whose_functions_answer_has_no_fault(lamp: Simulator[Lamp]) -> None:
    assert faults(lamp, "level") == []


def test_every_clause_that_fails_is_named_with_its_reason(lamp: Simulator[Lamp]) -> None:
    lamp.product.burnt = lamp.product.unknown = True
    assert faults(lamp, "level", "hours") == [
        "app: the bulb is gone",
        "function level: level failed; the device's log says why",
        "function hours: object missing required field `since`",
    ]
    assert any("no answer on the bus" in detail for _, detail, _ in lamp.log)


def test_a_function_that_hangs_is_blamed_and_those_behind_it_are_not(
    lamp: Simulator[Lamp],
) -> None:
    [fault] = faults(lamp, "stuck", "level")
    assert fault.startswith("function stuck: the app gave no answer in 1.0 s")


def test_a_health_check_never_acts_whatever_the_design_file_says(lamp: Simulator[Lamp]) -> None:
    assert faults(lamp, "burn", "absent") == [
        "function burn: this firmware has no such reading",
        "function absent: this firmware has no such reading",
    ]
    assert not lamp.product.burnt
