"""`limpet owner notifications`: what a device's product tells its owner.

Owns parsing and printing.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from limpet.cli._frame import emit, make_app, print_table, show_examples
from limpet.cli._owner_parts import (
    DeviceOption,
    JsonOption,
    StoreOption,
    UrlOption,
    open_client,
    when,
)
from limpet.owner.answers import NotificationAnswer

__all__ = ["app"]

app = make_app(
    "What the product tells its owner.",
    examples=["limpet owner notifications list", "limpet owner notifications acknowledge 3"],
)


@app.command("list", epilog=show_examples("limpet owner notifications list --new"))
def list_notifications(
    new: Annotated[bool, typer.Option("--new", help="Only those not acknowledged.")] = False,
    device: DeviceOption = None,
    url: UrlOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """The notifications, newest last."""
    with open_client(store, device, url) as client:
        found = client.notifications()
    shown = tuple(one for one in found if not (new and one.acknowledged))
    emit(shown, json=json, human=_print)


@app.command(epilog=show_examples("limpet owner notifications acknowledge 3"))
def acknowledge(
    number: Annotated[int, typer.Argument(min=1, help="As `list` shows it.")],
    device: DeviceOption = None,
    url: UrlOption = None,
    store: StoreOption = None,
) -> None:
    """Say that you have seen a notification."""
    with open_client(store, device, url) as client:
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
