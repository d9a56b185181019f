"""`limpet owner transfer` and `limpet owner takeover`: a device changes hands.

Owns parsing and printing.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from limpet.cli._frame import emit, make_app, show_examples
from limpet.cli._owner_parts import (
    JsonOption,
    PasswordStdinOption,
    StoreOption,
    ask_second,
    on_device,
    open_store,
    print_value,
    read_label,
    read_passwords,
    read_root,
    when,
)
from limpet.crypto.randomness import normalise_code
from limpet.owner import flows
from limpet.owner.answers import OwnershipAnswer, TakeoverAnswer, TransferAnswer
from limpet.owner.client import DeviceClient
from limpet.owner.store import DeviceRecord
from limpet.owner.trust import parse_device_url, verify_root
from limpet.product.label import parse_label_uri

__all__ = ["RootOption", "UrlArgument", "app", "changing_hands", "enter_by_code", "takeover"]

HOUR_SECONDS = 3600

app = make_app(
    "Give a device to another owner, or get one.",
    examples=["limpet owner transfer start", "limpet owner transfer cancel"],
)
takeover = make_app(
    "Get a device whose owner is gone, or object to that.",
    examples=["limpet owner takeover cancel"],
)

UrlArgument = Annotated[str, typer.Argument(metavar="URL", help="Where the device is.")]
RootOption = Annotated[
    Path | None, typer.Option("--root", metavar="FILE", help="The maker's root certificate, PEM.")
]


def enter_by_code(
    path: str,
    *,
    url: str,
    serial: str,
    code: str,
    root: Path | None,
    name: str,
    password_stdin: bool,
    store: Path | None,
) -> DeviceRecord:
    """Become a person of a device by the code that `path` takes, with a password that is asked for.

    Raises as `flows.enter_device`, and `Rejected("no-password" | "no-root")`.
    """
    prompt = "A password for this device"
    (password,) = read_passwords(prompt, stdin=password_stdin, confirm_last=True)
    return flows.enter_device(
        open_store(store),
        path,
        address=parse_device_url(url),
        serial=serial.upper(),
        code=code,
        root=verify_root(read_root(root), pin=None),
        name=name,
        password=password,
    )


class _Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A takeover that waits."""

    serial: str
    seconds_left: int


class _Entered(msgspec.Struct, frozen=True, kw_only=True):
    """A device that one has got; no secret."""

    serial: str
    model: str
    name: str


@app.command(epilog=show_examples("limpet owner transfer start --keep-data"))
@on_device
def start(
    client: DeviceClient,
    keep_data: Annotated[
        bool, typer.Option("--keep-data", help="Leave the product's data to the next owner.")
    ] = False,
    password_stdin: PasswordStdinOption = False,
    json: JsonOption = False,
) -> None:
    """Make the code that the next owner accepts with; it is shown this once."""
    (password,) = read_passwords("Your password", stdin=password_stdin)
    erase = {"erase": not keep_data}
    made = flows.with_second(
        lambda code: client.ask(
            "POST", "/v1/transfer", TransferAnswer, flows.proof(password, code) | erase
        ),
        ask_second(stdin=password_stdin),
    )

    def show(_: object) -> None:
        what = "the data is erased then" if made.erase else "the data stays"
        print(f"give this code to the next owner; it counts once, until {when(made.until)}")
        print(f"when it is used, you and everybody else here lose access, and {what}:")
        print(made.code)

    emit(made, json=json, human=show)


@app.command(epilog=show_examples("limpet owner transfer cancel"))
@on_device
def cancel(client: DeviceClient) -> None:
    """Keep the device: the code counts no more."""
    client.request("DELETE", "/v1/transfer")
    print("the transfer is cancelled")


@app.command(epilog=show_examples("limpet owner transfer show"))
@on_device
def show(client: DeviceClient, json: JsonOption = False) -> None:
    """Whether the device is changing hands."""
    found = client.ask("GET", "/v1/ownership", OwnershipAnswer)
    emit(found, json=json, human=lambda it: print_value({"state": it.state} | changing_hands(it)))


@app.command(
    epilog=show_examples(
        "limpet owner transfer accept https://192.0.2.7 --serial TH-00C0FFEE --root maker-root.pem"
    )
)
def accept(
    url: UrlArgument,
    serial: Annotated[str, typer.Option("--serial", help="The serial number, off the label.")],
    code: Annotated[str, typer.Option("--code", help="The transfer's code.")],
    root: RootOption = None,
    name: Annotated[str, typer.Option("--name", help="Your name on this device.")] = "owner",
    password_stdin: PasswordStdinOption = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Become the owner by the code of a transfer, with a password of your own."""
    record = enter_by_code(
        "/v1/transfer/accept",
        url=url,
        serial=serial,
        code=code,
        root=root,
        name=name,
        password_stdin=password_stdin,
        store=store,
    )
    got = _Entered(serial=record.serial, model=record.model, name=record.name)
    emit(got, json=json, human=lambda it: print(f"{it.serial} is yours, {it.name}"))


@takeover.command(
    "start",
    epilog=show_examples(
        "limpet owner takeover start https://192.0.2.7 --label @label.txt --root maker-root.pem"
    ),
)
def start_takeover(
    url: UrlArgument,
    label: Annotated[str, typer.Option("--label", help="The QR code's text, or @FILE.")],
    root: RootOption = None,
    json: JsonOption = False,
) -> None:
    """Ask for a device whose owner is gone: press its button first.

    While it runs for the product's waiting time its owner can object. Then everything of the
    owner is erased, and you claim it: by the label, with the button pressed once more.
    """
    told = parse_label_uri(read_label(label))
    trusted = verify_root(read_root(root), pin=told.root_pin)
    address = parse_device_url(url)
    body = {"code": normalise_code(told.claim_code)}
    with DeviceClient(address, root=trusted, serial=told.serial) as client:
        client.identity()
        waiting = client.ask("POST", "/v1/takeover", TakeoverAnswer, body)
    begun = _Begun(serial=told.serial, seconds_left=waiting.seconds_left)
    hours = _hours(waiting.seconds_left)
    text = f"{told.serial} is free when it has run for {hours}, unless its owner objects"
    emit(begun, json=json, human=lambda _: print(text))


@takeover.command("cancel", epilog=show_examples("limpet owner takeover cancel"))
@on_device
def object_to(client: DeviceClient) -> None:
    """Object: the device stays yours."""
    client.request("DELETE", "/v1/takeover")
    print("the takeover is cancelled; the device stays yours")


def changing_hands(found: OwnershipAnswer) -> dict[str, str]:
    """What a person must know of a transfer or a takeover, by heading; empty: nothing."""
    lines = {}
    if found.takeover is not None:
        left = _hours(found.takeover.seconds_left)
        lines["TAKEOVER"] = (
            f"somebody with the device in hand asks to take it over, in {left} of running; "
            "to object: limpet owner takeover cancel"
        )
    if found.transfer is not None:
        lines["transfer"] = f"waits to be accepted, until {when(found.transfer.until)}"
    return lines


def _hours(seconds: int) -> str:
    return f"{-(-seconds // HOUR_SECONDS)} h"
