"""`limpet owner notifications`: what a device's product tells its owner.

Owns parsing and printing.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from limpet.cli._frame import emit, make_app, print_table, show_examples
from limpet.cli._owner_parts import (
    JsonOption,
    on_device,
    when,
)
from limpet.owner.answers import NotificationAnswer
from limpet.owner.client import DeviceClient

__all__ = ["app"]

app = make_app(
    "What the product tells its owner.",
    examples=["limpet owner notifications list", "limpet owner notifications acknowledge 3"],
)


@app.command("list", epilog=show_examples("limpet owner notifications list --new"))
@on_device
def list_notifications(
    client: DeviceClient,
    new: Annotated[bool, typer.Option("--new", help="Only those not acknowledged.")] = False,
    json: JsonOption = False,
) -> None:
    """The notifications, newest last."""
    found = client.notifications()
    shown = tuple(one for one in found if not (new and one.acknowledged))
    emit(shown, json=json, human=_print)


@app.command(epilog=show_examples("limpet owner notifications acknowledge 3"))
@on_device
def acknowledge(
    client: DeviceClient,
    number: Annotated[int, typer.Argument(min=1, help="As `list` shows it.")],
) -> None:
    """Say that you have seen a notification."""
    client.acknowledge(number)
    print(f"notification {number} is acknowledged")


def _print(notifications: Sequence[NotificationAnswer]) -> None:
    if not notifications:
        print("nothing to tell")
        return
    rows = [
        (
            str(n.id),
            when(n.raised_at),
            n.level,
            n.text + (f" ({n.count} times)" if n.count > 1 else ""),
            "seen" if n.acknowledged else "new",
        )
        for n in notifications
    ]
    print_table(("number", "since", "level", "text", ""), rows)
