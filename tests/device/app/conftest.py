"""A small product for the SDK's tests, and the parts it is made with."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from limpet.device.app import Access, App, Device, Rejected, Unhealthy
from limpet.device.app.testing import Simulator


class Lamp:
    """A product with something that can fail in each way."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.lit = True
        self.turns = 0
        self.broken: Exception | None = None
        self.fault = ""


class Level(msgspec.Struct, frozen=True):
    """How bright."""

    percent: Annotated[int, Meta(ge=0, le=100)]
    since: datetime


def make_app() -> App[Lamp]:
    app = App(Lamp)

    @app.reading(summary="Brightness", unit="%")
    def level(lamp: Lamp, scale: Annotated[float, Meta(gt=0, le=10)] = 1.0) -> Level:
        return Level(int(50 * scale), datetime(2026, 1, 1, tzinfo=UTC))

    @app.action(summary="Set the brightness", access=Access.MEMBER)
    def set_level(lamp: Lamp, percent: Annotated[int, Meta(ge=0, le=100)], note: str = "") -> int:
        if note == "crash":
            raise ZeroDivisionError("division of a secret")
        if note == "refuse":
            raise Rejected("too-bright", "not at night")
        return percent

    @app.action(summary="Open the lamp", access=Access.OWNER)
    def service(lamp: Lamp) -> str:
        return "x" * (300 << 10)

    @app.loop(every=1.0)
    def glow(lamp: Lamp) -> None:
        lamp.turns += 1
        if lamp.broken:
            raise lamp.broken

    @app.health
    def shines(lamp: Lamp) -> None:
        if lamp.fault == "bug":
            raise KeyError("bug")
        if lamp.fault:
            raise Unhealthy(lamp.fault)

    @app.on_stop
    def dark(lamp: Lamp) -> None:
        lamp.lit = False

    return app


@pytest.fixture
def lamp(tmp_path: Path) -> Simulator[Lamp]:
    return Simulator(make_app(), tmp_path)
