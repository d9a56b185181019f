"""What the owner's commands share: options, the password's way in, printing.

Owns no decision. Never prints a session's token, and takes a password from a
prompt or from standard input only, so that it shows in no process list.
"""

import functools
import getpass
import inspect
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from limpet.crypto.chains import load_certificates
from limpet.errors import LimpetError, Rejected, naming
from limpet.owner.answers import UpdateAnswer
from limpet.owner.client import DeviceClient
from limpet.owner.flows import DAYS, connect
from limpet.owner.household import renew_when_due
from limpet.owner.store import DeviceRecord, Store, default_store
from limpet.owner.trust import parse_device_url
from limpet.storage import read_bounded

__all__ = [
    "ACCESS_NAMES",
    "DeviceOption",
    "JsonOption",
    "PasswordStdinOption",
    "StoreOption",
    "UrlOption",
    "ask_second",
    "choose",
    "on_device",
    "open_client",
    "open_store",
    "policy_text",
    "print_value",
    "read_label",
    "read_passwords",
    "read_root",
    "when",
]

PASSWORD_CHARACTERS = 256
LABEL_BYTES = 1024
ROOT_BYTES = 64 << 10
ACCESS_NAMES = ("viewer", "member", "owner")

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="Where devices are remembered, else XDG's place."),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", "-d", metavar="SERIAL", help="Which device, if you have several."),
]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The device's address, if it has a new one."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PasswordStdinOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, a line.")
]


def open_store(directory: Path | None) -> Store:
    """The store in `directory`, or in its usual place."""
    return Store(directory if directory is not None else default_store(os.environ))


def choose(store: Store, device: str | None, url: str | None) -> DeviceRecord:
    """The record of the device that is meant, at its new address if one is given."""
    record = store.choose(device)
    if url is None:
        return record
    moved: DeviceRecord = msgspec.structs.replace(record, url=parse_device_url(url).url)
    with connect(msgspec.structs.replace(moved, token="")) as client:
        client.identity()  # remembered only if the device is really there
    store.save(moved)
    return moved


def open_client(directory: Path | None, device: str | None, url: str | None) -> DeviceClient:
    """A client with the session of the device that is meant."""
    record = choose(open_store(directory), device, url)
    if not record.token:
        raise Rejected(
            "not-logged-in", f"not logged in to {record.serial}", hint="limpet owner login"
        )
    client = connect(record)
    _keep_trusted(open_store(directory), record, client)
    return client


def _keep_trusted(store: Store, record: DeviceRecord, client: DeviceClient) -> None:
    """Renew the household's certificate in time; what was asked for is done in any case."""
    try:
        renewed = renew_when_due(store, record, client, now=datetime.now(UTC))
        if renewed is not record:
            print(f"{record.serial}: the household's certificate is renewed", file=sys.stderr)
    except LimpetError as error:
        until = when(record.household.until if record.household else None)
        print(
            f"{record.serial}: browsers will warn from {until}; not renewed: {error.message}",
            file=sys.stderr,
        )


def on_device(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose first argument is a `DeviceClient`, with the options that choose it.

    The client has the caller's session, and is closed when the command is over.
    """
    options = {"device": DeviceOption, "url": UrlOption, "store": StoreOption}

    @functools.wraps(command)
    def run(**given: Any) -> None:
        device, url, store = (given.pop(name) for name in options)
        with open_client(store, device, url) as client:
            command(client, **given)

    own = list(inspect.signature(command).parameters.values())[1:]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in options.items()
    ]
    asked = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    # Typer reads both: what stands here is what `--help` shows.
    run.__signature__ = inspect.Signature([*asked, *added])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in [*asked, *added]}
    return run


def read_label(label: str) -> str:
    """What a label's QR code says: `label` itself, or the content of `@FILE`."""
    if not label.startswith("@"):
        return label
    data = read_bounded(Path(label[1:]), max_bytes=LABEL_BYTES)
    return data.decode("utf-8", "replace").strip()


def read_root(root: Path | None) -> bytes:
    """The maker's root certificate, PEM. Raises `Rejected` with where to get it."""
    hint = "get it from the maker's product page and give --root FILE"
    if root is None:
        message = "the maker's root certificate is needed to know the device"
        raise Rejected("no-root", message, hint=hint)
    with naming(root, hint=hint):
        pem = read_bounded(root, max_bytes=ROOT_BYTES)
        load_certificates(pem)
        return pem


def ask_second(*, stdin: bool) -> Callable[[], str]:
    """Asks for a one-time code, once the device wants one: as the password was asked for."""

    def ask() -> str:
        if not stdin and not sys.stdin.isatty():
            raise Rejected(
                "second-factor-needed",
                "a one-time code is needed, and there is no terminal to ask on",
                hint="give it with --password-stdin, in the line after the password",
            )
        (code,) = read_passwords("One-time code, or a recovery code", stdin=stdin)
        return code

    return ask


def read_passwords(*prompts: str, stdin: bool, confirm_last: bool = False) -> list[str]:
    """One password for each prompt. Raises `Rejected("no-password")`."""
    if stdin:
        lines = [sys.stdin.readline(PASSWORD_CHARACTERS + 2).rstrip("\r\n") for _ in prompts]
    elif sys.stdin.isatty():
        lines = [getpass.getpass(f"{prompt}: ") for prompt in prompts]
        if confirm_last and getpass.getpass(f"{prompts[-1]}, again: ") != lines[-1]:
            raise Rejected("no-password", "the two passwords differ")
    else:
        raise Rejected(
            "no-password", "there is no terminal to ask on", hint="give it with --password-stdin"
        )
    if not all(lines):
        raise Rejected("no-password", "the password is empty")
    return lines


def when(instant: datetime | None) -> str:
    """An instant as people read it, UTC."""
    return "-" if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def policy_text(update: UpdateAnswer) -> str:
    """The owner's choice in one line."""
    policy, window = update.policy, update.policy.window
    whole_day = (window.start_minute, window.end_minute) == (0, 1440)
    hours = (
        "at any time"
        if whole_day
        else f"{window.start_minute // 60:02}:{window.start_minute % 60:02}"
        f"-{window.end_minute // 60:02}:{window.end_minute % 60:02} {window.zone}"
    )
    every_day = len(window.days) == len(DAYS)
    days = "" if every_day else " on " + ",".join(DAYS[day] for day in window.days)
    how = (
        "on your word" if not policy.automatic else "asks you first" if policy.ask else "automatic"
    )
    every = policy.interval_seconds
    looks = "" if not every else f", a check about every {every / 3600:.3g} h"
    return f"{how}, {hours}{days}{looks}"


def print_value(value: Any) -> None:
    """A function's result: a line for each field, else the value."""
    if isinstance(value, dict):
        width = max((len(key) for key in value), default=0)
        for key, part in value.items():
            print(f"{key:<{width}}  {_plain(part)}")
    elif isinstance(value, list):
        for part in value:
            print(_plain(part))
    else:
        print(_plain(value))


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    # A device's text must not drive the owner's terminal.
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
