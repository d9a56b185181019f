"""`limpet factory`: make devices. Parses, prints, and nothing else."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import typer

from limpet.cli._factory_labels import add_commands
from limpet.cli._frame import emit, make_app, progress, show_examples
from limpet.vendor.factory.blocks import parse_devices
from limpet.vendor.factory.station import MadeDevice, Station, load_factory_image
from limpet.vendor.home import Home, open_home
from limpet.wire.keystore import parse_key_store

__all__ = ["app"]

_EXAMPLE = "limpet factory make --vendor vendor --image release --count 5 --out devices"

app = make_app("Make devices with their own keys, credentials and labels.", examples=[_EXAMPLE])


add_commands(app)


@app.command(
    epilog=show_examples(
        _EXAMPLE,
        "limpet factory make --vendor vendor --image release --out devices"
        " --slot-devices /dev/mmcblk0p2 /dev/mmcblk0p3",
    )
)
def make(
    vendor: Path = typer.Option(..., help="The vendor's directory."),
    image: Path = typer.Option(..., help="A release: what `limpet release build --out` made."),
    out: Path = typer.Option(..., help="Where the devices and their labels go."),
    count: int = typer.Option(1, help="How many."),
    hardware_revision: str = typer.Option("", help="One of the product's; the first by default."),
    key_store: str = typer.Option(
        "software",
        help="Where the permanent key lives: software, tpm[:TCTI], or a pkcs11: URI (RFC 7512).",
    ),
    slot_devices: tuple[str, str] | None = typer.Option(
        None,
        "--slot-devices",
        metavar="A B",
        help="The slots are block devices of these names, for a release of --form block.",
    ),
    ring: str = typer.Option("", "--ring", help="A ring that they join: they get releases first."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Make devices: each makes its own key and claim code; the station signs and labels."""
    order = load_factory_image(image)
    home = open_home(vendor).of(order.manifest.model)
    station = Station(home, clock=lambda: datetime.now(UTC))
    join = _joining(home, ring, count) if ring else None
    made: list[MadeDevice] = []
    with progress("making devices", total=count) as account:
        for device in station.make(
            order,
            out,
            count=count,
            hardware_revision=hardware_revision or None,
            key_store=parse_key_store(key_store),
            devices=parse_devices(*slot_devices) if slot_devices else None,
        ):
            if join is not None:
                join(device.serial)
            made.append(device)
            account.advance(note=device.serial)
    emit(made, json=json, human=_print)


def _joining(home: Home, ring: str, count: int) -> Callable[[str], None]:
    """Puts a device into the ring; what would be in its way is said before the first is made."""
    from limpet.vendor.rollout import make_room, set_ring
    from limpet.vendor.store import Database

    database = Database.open(home.database)
    make_room(database, home.model, ring, count=count)

    def join(serial: str) -> None:
        set_ring(database, home.model, ring, join=[serial])

    return join


def _print(made: list[MadeDevice]) -> None:
    for device in made:
        print(f"{device.serial}  {device.directory}  label {device.label_svg}")
        if device.slot_image:
            print(f"  write {device.slot_image} onto its slot a, and start it then")
