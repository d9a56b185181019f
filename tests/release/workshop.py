"""Orders to build and to sign the example product."""

from datetime import UTC, datetime
from pathlib import Path

from tests.example import kept

from limpet.release import (
    BuildOrder,
    SigningOrder,
    default_keys,
)
from limpet.vendor.home import Home
from limpet.wire.release import Bounds

EXAMPLE = kept(Path(__file__).parents[2] / "examples" / "thermostat")

APP = '''"""An app."""

from limpet.device.app import App, Device


class Thermostat:
    """Measures nothing."""

    def __init__(self, device: Device) -> None:
        self.device = device


app = App(Thermostat)


@app.reading(summary="The temperature", unit="°C")
def temperature(product: Thermostat) -> float:
    """Degrees."""
    return 20.0
'''

NOW = datetime.now(UTC).replace(microsecond=0)

BOUNDS = Bounds(not_before=NOW, minimum_duration_seconds=0, largest_step_ppm=1_000_000)


def now() -> datetime:
    return datetime.now(UTC)


def order(product: Path, home: Home, version: str = "1.0.0") -> BuildOrder:
    return BuildOrder(
        product=product,
        trust=home.trust,
        version=version,
        security_counter=1,
        interface_version=1,
        bounds=BOUNDS,
        built_at=NOW,
    )


def signing(home: Home, *keys: Path, passphrase: bytes | None = None) -> SigningOrder:
    return SigningOrder(
        repository=home.repository,
        root=home.trust / "root.json",
        keys=keys or tuple(default_keys(home.offline, "thermostat")),
        passphrase=passphrase,
    )
