"""`limpet owner find` and `limpet owner announce`: the device in its local network.

Owns parsing and printing; `limpet.owner.finding` searches.
"""

import enum
from typing import Annotated

import typer

from limpet.cli._frame import emit, print_table, show_examples
from limpet.cli._owner_parts import (
    DeviceOption,
    JsonOption,
    StoreOption,
    UrlOption,
    open_client,
)
from limpet.owner.answers import AnnouncementAnswer
from limpet.owner.finding import Found, find_devices

__all__ = ["add_commands"]


class _Switch(enum.Enum):
    ON = "on"
    OFF = "off"


def add_commands(app: typer.Typer) -> None:
    """Add the two commands to `app`."""
    app.command(epilog=show_examples("limpet owner find"))(find)
    app.command(epilog=show_examples("limpet owner announce off"))(announce)


def find(
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.5, max=60, help="How long to listen.")
    ] = 3.0,
    json: JsonOption = False,
) -> None:
    """The devices that the local network tells of. Hearsay: claim and login prove who it is."""
    emit(find_devices(seconds=seconds), json=json, human=_print_found)


def announce(
    switch: Annotated[
        _Switch | None, typer.Argument(metavar="[on|off]", help="Without it: how it is.")
    ] = None,
    device: DeviceOption = None,
    url: UrlOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Whether the device tells its local network where it is."""
    with open_client(store, device, url) as client:
        enabled = None if switch is None else switch is _Switch.ON
        answer = client.announcement(enabled=enabled)
    emit(answer, json=json, human=_print_announcement)


def _print_found(found: list[Found]) -> None:
    if not found:
        print("the local network tells of no device")
        print("is it on, in this network, and may it announce itself? its address does as well:")
        print("  limpet owner claim https://ADDRESS:PORT")
        return
    rows = [(one.name, one.model, one.host, one.url) for one in found]
    print_table(("name", "model", "host", "address"), rows)


def _print_announcement(answer: AnnouncementAnswer) -> None:
    if not answer.declared:
        print("this product does not announce itself")
    elif answer.enabled:
        print(f"the local network is told of {answer.name!r} at {answer.host}")
    else:
        print("the local network is told nothing")
