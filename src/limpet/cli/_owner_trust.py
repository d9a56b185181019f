"""`limpet owner trust`: a browser without a warning, by a household's own authority.

Owns parsing and printing; `limpet.owner.household` and `limpet.owner.trusting` do the work.
"""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from cryptography.x509.oid import NameOID

from limpet.cli._frame import emit, make_app, print_table, show_examples
from limpet.cli._owner_parts import (
    DeviceOption,
    JsonOption,
    StoreOption,
    UrlOption,
    choose,
    open_client,
    open_store,
    print_value,
    when,
)
from limpet.crypto.certificates import Issuer
from limpet.crypto.names import parse_networks
from limpet.owner import household, trusting
from limpet.owner.store import DeviceRecord, HouseholdRecord
from limpet.owner.trust import parse_device_url

__all__ = ["app"]

app = make_app(
    "Browsers without a warning: a certificate of your own household.",
    examples=[
        "limpet owner trust",
        "limpet owner trust --hostname heating.home.arpa",
        "limpet owner trust export household.mobileconfig",
    ],
)

_System = Annotated[
    bool, typer.Option("--system", help="In this computer's store too (as root; Debian).")
]


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """What `trust` and `renew` did."""

    serial: str
    urls: tuple[str, ...]
    until: str
    places: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `list`."""

    serial: str
    until: str
    names: tuple[str, ...]


@app.callback(invoke_without_command=True)
def trust(
    context: typer.Context,
    hostname: Annotated[
        list[str] | None,
        typer.Option("--hostname", help="A name that you gave it: X.home.arpa or X.local."),
    ] = None,
    address: Annotated[
        list[str] | None, typer.Option("--address", help="An address that it is reached by.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option("--network", help="A new authority is for these networks only."),
    ] = None,
    system: _System = False,
    browsers: Annotated[
        bool, typer.Option("--browsers/--no-browsers", help="In your browsers on this computer.")
    ] = True,
    device: DeviceOption = None,
    url: UrlOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Give the device a certificate of your household, and let this computer trust that."""
    if context.invoked_subcommand is not None:
        return
    opened = open_store(store)
    record = choose(opened, device, url)
    chosen = parse_networks(network) if network else None
    before = record.household or HouseholdRecord()
    wanted = msgspec.structs.replace(
        before,
        hostnames=tuple(hostname) if hostname else before.hostnames,
        addresses=tuple(address) if address else before.addresses,
    )
    with open_client(store, record.serial, None) as client:
        authority = household.open_authority(opened, owner=_owner(), networks=chosen, now=_now())
        record = household.give_household(
            opened, record, client, authority, wanted=wanted, now=_now()
        )
    placed: list[trusting.Placed] = []
    if browsers:
        placed += trusting.trust_in_browsers(authority.certificate, Path.home())
    if system:
        placed.append(trusting.trust_in_system(authority.certificate))
    emit(_given(record, placed), json=json, human=_print_given)


@app.command(epilog=show_examples("limpet owner trust renew"))
def renew(
    device: DeviceOption = None,
    url: UrlOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """Give the device a new certificate now; `limpet owner` does it by itself in time."""
    opened = open_store(store)
    record = choose(opened, device, url)
    authority = household.load_authority(opened)
    with open_client(store, record.serial, None) as client:
        record = household.give_household(opened, record, client, authority, now=_now())
    emit(_given(record, []), json=json, human=_print_given)


@app.command("list", epilog=show_examples("limpet owner trust list"))
def list_trusted(store: StoreOption = None, json: JsonOption = False) -> None:
    """The devices that have a certificate of this household, and until when."""
    opened = open_store(store)
    records = [opened.load(serial) for serial in opened.serials()]
    known = [
        _Known(serial=r.serial, until=when(r.household.until), names=_urls(r))
        for r in records
        if r.household is not None
    ]

    def show(_: object) -> None:
        rows = [(k.serial, k.until, " ".join(k.names)) for k in known]
        print_table(("serial", "until", "addresses"), rows)

    emit(known, json=json, human=show)


@app.command(epilog=show_examples("limpet owner trust pin"))
def pin(
    device: DeviceOption = None,
    url: UrlOption = None,
    store: StoreOption = None,
    json: JsonOption = False,
) -> None:
    """The pins of the device's public keys, for programs that pin instead of trusting."""
    with open_client(store, device, url) as client:
        found = client.household()
        at = client.address
    pins = {
        "operational": f"sha256//{found.operational_pin}",
        "asked for as": found.pinned_name,
        "household": f"sha256//{found.pin}" if found.pin else "none",
        "as curl takes it": f"curl --insecure --pinnedpubkey sha256//{found.operational_pin}"
        f" --connect-to ::{at.host}:{at.port} https://{found.pinned_name}/v1/identity",
    }
    emit(pins, json=json, human=print_value)


@app.command(epilog=show_examples("limpet owner trust export household.mobileconfig"))
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".pem, .der, .cer or .mobileconfig")],
    store: StoreOption = None,
) -> None:
    """Write the authority (never its key) for a phone or another computer, and say what to do."""
    authority = household.load_authority(open_store(store))
    advice = trusting.export_authority(authority.certificate, file)
    print(f"{file} holds {_name(authority)}\n{advice}")


@app.command(epilog=show_examples("limpet owner trust remove --device TH-00C0FFEE"))
def remove(device: DeviceOption = None, url: UrlOption = None, store: StoreOption = None) -> None:
    """Have the device forget your household's certificate; browsers then warn again."""
    opened = open_store(store)
    record = choose(opened, device, url)
    with open_client(store, record.serial, None) as client:
        household.take_household(opened, record, client)
    print(f"{record.serial} shows its maker's certificate to everybody again")


@app.command(epilog=show_examples("limpet owner trust forget"))
def forget(system: _System = False, store: StoreOption = None) -> None:
    """Distrust the household's authority on this computer, and destroy its key."""
    opened = open_store(store)
    authority = household.load_authority(opened)
    places = list(trusting.forget_in_browsers(authority.certificate, Path.home()))
    if system and (one := trusting.forget_in_system(authority.certificate)) is not None:
        places.append(one)
    household.destroy_authority(opened)
    print(f"{_name(authority)} is destroyed; taken out of {len(places)} places")


def _given(record: DeviceRecord, placed: list[trusting.Placed]) -> _Given:
    until = record.household.until if record.household else None
    return _Given(
        serial=record.serial,
        urls=_urls(record),
        until=when(until),
        places=tuple(one.place for one in placed if one.trusted),
        problems=tuple(f"{one.place}: {one.detail}" for one in placed if not one.trusted),
    )


def _urls(record: DeviceRecord) -> tuple[str, ...]:
    port = parse_device_url(record.url).port
    return tuple(f"https://{host}:{port}/" for host in household.hosts_of(record))


def _print_given(given: _Given) -> None:
    print(f"{given.serial} shows browsers a certificate of your household until {given.until}")
    for url in given.urls:
        print(f"  {url}")
    for place in given.places:
        print(f"trusted in {place}")
    for problem in given.problems:
        print(f"not trusted in {problem}")
    print("other computers and phones: limpet owner trust export FILE")


def _name(authority: Issuer) -> str:
    return str(authority.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _owner() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "owner"


def _now() -> datetime:
    return datetime.now(UTC)
