"""`limpet owner`: claim a device, use it, decide when it updates.

Owns parsing and printing of the owner's commands; `limpet.owner` does the work.
"""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from limpet.cli import (
    _owner_events,
    _owner_factor,
    _owner_network,
    _owner_notifications,
    _owner_people,
    _owner_tokens,
    _owner_transfer,
    _owner_trust,
    _owner_updates,
)
from limpet.cli._frame import emit, make_app, print_table, show_examples
from limpet.cli._owner_parts import (
    DeviceOption,
    JsonOption,
    PasswordStdinOption,
    StoreOption,
    UrlOption,
    ask_second,
    choose,
    on_device,
    open_store,
    policy_text,
    print_value,
    read_label,
    read_passwords,
    read_root,
    when,
)
from limpet.cli._owner_transfer import changing_hands
from limpet.errors import Rejected
from limpet.owner import flows
from limpet.owner.answers import DeviceIdentity, OwnershipAnswer, UpdateAnswer
from limpet.owner.client import DeviceClient
from limpet.owner.store import DeviceRecord
from limpet.owner.trust import parse_device_url, verify_root
from limpet.product.label import parse_label_uri

__all__ = ["app"]

app = make_app(
    "Claim a device, use it, decide when it updates.",
    examples=[
        "limpet owner claim https://192.0.2.7 --label @label.txt --root maker-root.pem",
        "limpet owner call set_target celsius=21.5",
    ],
)
app.add_typer(_owner_updates.app, name="update")
app.add_typer(_owner_tokens.app, name="token")
app.add_typer(_owner_notifications.app, name="notifications")
app.add_typer(_owner_people.app, name="people")
app.add_typer(_owner_transfer.app, name="transfer")
app.add_typer(_owner_transfer.takeover, name="takeover")
app.add_typer(_owner_factor.app, name="second-factor")
app.add_typer(_owner_events.app)
app.add_typer(_owner_trust.app, name="trust")
_owner_network.add_commands(app)

_Url = Annotated[str, typer.Argument(metavar="URL", help="Where the device is.")]
_Root = Annotated[
    Path | None, typer.Option("--root", metavar="FILE", help="The maker's root certificate, PEM.")
]
_Name = Annotated[str, typer.Option("--name", help="Your name on this device.")]


class _Session(msgspec.Struct, frozen=True, kw_only=True):
    """A device as `list`, `claim` and `login` show it; no secret."""

    serial: str
    model: str
    url: str
    name: str
    logged_in: bool
    expires_at: str


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `status` shows."""

    url: str
    identity: DeviceIdentity
    logged_in: bool
    update: UpdateAnswer | None
    ownership: OwnershipAnswer | None


@app.command(
    epilog=show_examples(
        "limpet owner claim https://192.0.2.7 --label 'limpet://claim?…' --root maker-root.pem"
    )
)
def claim(
    url: _Url,
    label: Annotated[
        str, typer.Option("--label", help="The QR code's text, or @FILE that holds it.")
    ] = "",
    code: Annotated[str, typer.Option("--code", help="The claim code, if you type it.")] = "",
    serial: Annotated[str, typer.Option("--serial", help="The serial number, with --code.")] = "",
    root: _Root = None,
    name: _Name = "owner",
    password_stdin: PasswordStdinOption = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Become the owner of a new device by the code on its label."""
    address = parse_device_url(url)
    if bool(label) == bool(code):
        raise Rejected(
            "no-label", "say what the label says", hint="--label TEXT, or --code with --serial"
        )
    if label:
        claimed = parse_label_uri(read_label(label))
        pin: str | None = claimed.root_pin
        serial, code = claimed.serial, claimed.claim_code
    else:
        pin = None
        if not serial:
            raise Rejected(
                "no-serial",
                "the code alone does not say which device is meant",
                hint="give --serial as printed beside the code",
            )
    trusted = verify_root(read_root(root), pin=pin)
    (password,) = read_passwords(
        "A password for this device", stdin=password_stdin, confirm_last=True
    )
    record = flows.claim_device(
        open_store(store),
        address=address,
        serial=serial.upper(),
        code=code,
        root=trusted,
        name=name,
        password=password,
    )
    emit(_session(record), json=json, human=_print_claimed)


@app.command(epilog=show_examples("limpet owner login --device TH-00C0FFEE"))
def login(
    url: UrlOption = None,
    serial: Annotated[str, typer.Option("--serial", help="A device new to this computer.")] = "",
    root: _Root = None,
    name: Annotated[str | None, typer.Option("--name", help="Your name on this device.")] = None,
    label: Annotated[
        str, typer.Option("--label", help="The label's code, if guesses of others keep you out.")
    ] = "",
    password_stdin: PasswordStdinOption = False,
    device: DeviceOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Open a session. A device that this computer does not know needs --url, --serial, --root.

    With --label, press the device's button first.
    """
    opened = open_store(store)
    if serial:
        if url is None:
            raise Rejected("no-address", "say where the device is", hint="--url https://…")
        record = DeviceRecord(
            serial=serial.upper(),
            model="",
            url=parse_device_url(url).url,
            root_pem=verify_root(read_root(root), pin=None).pem.decode("ascii"),
            name=name or "owner",
        )
        with flows.connect(record) as client:
            record = msgspec.structs.replace(record, model=client.identity().model)
    else:
        record = choose(opened, device, url)
    (password,) = read_passwords(f"Password for {record.serial}", stdin=password_stdin)
    kept = flows.login_device(
        opened,
        record,
        name=name or record.name,
        password=password,
        second=ask_second(stdin=password_stdin),
        label=label,
    )
    emit(_session(kept), json=json, human=lambda s: print(f"logged in to {s.serial} as {s.name}"))


@app.command(epilog=show_examples("limpet owner logout"))
def logout(device: DeviceOption = None, store: StoreOption = None) -> None:
    """End the session."""
    opened = open_store(store)
    record = opened.choose(device)
    told = flows.logout_device(opened, record)
    print(f"logged out of {record.serial}" + ("" if told else " here; it could not be told"))


@app.command("list", epilog=show_examples("limpet owner list --json"))
def list_devices(store: StoreOption = None, json: JsonOption = False) -> None:
    """The devices that this computer knows."""
    opened = open_store(store)
    known = [_session(opened.load(serial)) for serial in opened.serials()]
    emit(known, json=json, human=_print_sessions)


@app.command(epilog=show_examples("limpet owner status"))
def status(
    device: DeviceOption = None,
    url: UrlOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Who the device is, its firmware, its support, its updates."""
    record = choose(open_store(store), device, url)
    with flows.connect(record) as client:
        identity = client.identity()
        inside = bool(record.token and identity.claimed)
        update = client.update() if inside else None
        ownership = flows.ownership_of(client) if inside else None
    found = _Status(
        url=record.url, identity=identity, logged_in=inside, update=update, ownership=ownership
    )
    emit(found, json=json, human=_print_status)


@app.command(epilog=show_examples("limpet owner functions"))
@on_device
def functions(client: DeviceClient, json: JsonOption = False) -> None:
    """What the product can do."""
    found = client.functions()

    def show(_: object) -> None:
        rows = [
            (f.name, f.kind, f.access, " ".join(f.arguments.get("properties", {})),
             f.summary)
            for f in found
        ]  # fmt: skip
        print_table(("name", "kind", "access", "arguments", "summary"), rows)

    emit(found, json=json, human=show)


@app.command(epilog=show_examples("limpet owner call set_target celsius=21.5"))
@on_device
def call(
    client: DeviceClient,
    name: Annotated[str, typer.Argument(help="One of `limpet owner functions`.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values are JSON or text.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Use one of the product's functions."""
    function = client.function(name)
    parsed = flows.parse_call_arguments(function, arguments or [])
    result = client.call(function, parsed)
    if function.unit and isinstance(result, int | float):
        emit(result, json=json, human=lambda value: print(f"{value} {function.unit}"))
    else:
        emit(result, json=json, human=print_value)


@app.command(epilog=show_examples("limpet owner password"))
@on_device
def password(client: DeviceClient, password_stdin: PasswordStdinOption = False) -> None:
    """Change your password: the old one, then the new one."""
    old, new = read_passwords(
        "Old password", "New password", stdin=password_stdin, confirm_last=True
    )
    flows.with_second(
        lambda code: client.change_password(old, new, second=code),
        ask_second(stdin=password_stdin),
    )
    print("the password is changed; your other sessions have ended")


@app.command(epilog=show_examples("limpet owner reset --device TH-00C0FFEE"))
def reset(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    device: DeviceOption = None,
    url: UrlOption = None,
    password_stdin: PasswordStdinOption = False,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Factory reset, before the device is handed on: its people and their data are erased.

    Prints the fresh claim code for who is next, once.
    """
    opened = open_store(store)
    record = choose(opened, device, url)
    if not yes and not _confirmed(f"Erase all people and data of {record.serial}?"):
        raise typer.Exit(1)
    (secret,) = read_passwords(f"Password for {record.serial}", stdin=password_stdin)
    made = flows.reset_device(
        opened, record, password=secret, second=ask_second(stdin=password_stdin)
    )

    def show(_: object) -> None:
        print(f"{record.serial} is being reset. Whoever is next claims it with this code,")
        print("which is shown this once; or with the button pressed and the code on its label:")
        print(made.code)

    emit(made, json=json, human=show)


@app.command(epilog=show_examples("limpet owner forget --device TH-00C0FFEE"))
def forget(device: DeviceOption = None, store: StoreOption = None) -> None:
    """Forget a device on this computer; on the device nothing changes."""
    opened = open_store(store)
    serial = device.upper() if device else opened.choose(None).serial
    if serial not in opened.serials():
        raise Rejected("unknown-device", f"no device {serial} is known here")
    opened.forget(serial)
    print(f"{serial} is forgotten here")


def _session(record: DeviceRecord) -> _Session:
    return _Session(
        serial=record.serial,
        model=record.model,
        url=record.url,
        name=record.name,
        logged_in=bool(record.token),
        expires_at=when(record.expires_at),
    )


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise Rejected("not-confirmed", "there is no terminal to ask on", hint="say --yes")
    return typer.confirm(question)


def _print_claimed(session: _Session) -> None:
    print(f"{session.serial} is yours, {session.name}")
    print("in a browser without a warning: limpet owner trust")


def _print_sessions(sessions: list[_Session]) -> None:
    if not sessions:
        print("no device is known here yet")
        return
    rows = [
        (s.serial, s.model, s.url, s.name, s.expires_at if s.logged_in else "logged out")
        for s in sessions
    ]
    print_table(("serial", "model", "address", "name", "session until"), rows)


def _print_status(found: _Status) -> None:
    identity, update = found.identity, found.update
    support = identity.support
    lines = {
        "device": f"{identity.maker} {identity.model} {identity.hardware_revision}",
        "serial": identity.serial,
        "address": found.url,
        "firmware": identity.firmware_revision,
        "owner": "claimed" if identity.claimed else "not claimed yet",
        "support": f"{'over' if support.over else 'until ' + (support.until or 'not said')}",
    }
    if found.ownership is not None:
        lines |= changing_hands(found.ownership)
    if update is not None:
        lines["updates"] = policy_text(update)
        lines["update"] = " ".join(filter(None, (update.state, update.available, update.reason)))
    else:
        lines["updates"] = "log in to see"
    print_value(lines)
