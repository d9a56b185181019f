"""`limpet vendor`: set up and run the vendor's services, and look at the fleet.

Owns arguments and printing. What a command does lives in `limpet.vendor`.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
import typer

from limpet.cli import _vendor_models, _vendor_pages, _vendor_root
from limpet.cli._drawer import OFFLINE, PASSPHRASE_ENV, Renewed, read_passphrase
from limpet.cli._frame import emit, make_app, print_table, progress, show_examples
from limpet.cli._release_ceremony import show_file, verify_new
from limpet.crypto.suites import SuiteId, find_suite
from limpet.errors import Misuse, Rejected

if TYPE_CHECKING:
    from limpet.vendor.fleet import FleetDevice

__all__ = ["app"]

app = make_app(
    "Set up and run the vendor's services.",
    examples=[
        "limpet vendor init vendor --product examples/thermostat",
        "limpet vendor serve vendor --listen 127.0.0.1:8443",
    ],
)

app.add_typer(_vendor_models.app, name="model")
app.add_typer(_vendor_root.app, name="root")
app.add_typer(_vendor_pages.app, name="pages")

_directory = typer.Argument(..., metavar="DIR", help="The vendor's directory.")
_json_option = typer.Option(False, "--json", help="Print JSON.")
_model = typer.Option("", "--model", help="Of which model, where the vendor has several.")
_reason = typer.Option("", "--reason", help="Why, for those who read it later.")


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """What `init` prints as JSON."""

    directory: str
    maker: str
    model: str
    hostnames: tuple[str, ...]
    offline: str


@app.command(
    epilog=show_examples(
        "limpet vendor init vendor --product examples/thermostat",
        "limpet vendor init vendor --product . --hostname updates.vendor.example",
    )
)
def init(
    directory: Path = _directory,
    product: Path = typer.Option(..., "--product", help="The product's directory or design file."),
    hostname: list[str] = typer.Option(
        [], "--hostname", help="A name of the service; the product's vendor hosts by default."
    ),
    passphrase_env: str = PASSPHRASE_ENV,
    suite: str | None = typer.Option(
        None, "--suite", help="Algorithms: a file or a name; the newest of this limpet by default."
    ),
    unsafe_without_gate: bool = typer.Option(
        False, help="Devices take releases that `limpet release check` has not passed."
    ),
    json: bool = _json_option,
) -> None:
    """Make a vendor's directory: keys, authorities, an empty repository. Never overwrites."""
    from limpet.vendor.home import create

    with progress("making keys and the first repository"):
        home = create(
            directory,
            product,
            hostnames=hostname,
            now=datetime.now(UTC),
            passphrase=read_passphrase(passphrase_env),
            suite=find_suite(suite) if suite else None,
            unsafe_without_gate=unsafe_without_gate,
        )
    settings = home.settings
    made = _Made(
        directory=str(directory),
        maker=settings.maker,
        model=settings.model,
        hostnames=settings.hostnames,
        offline=str(home.offline),
    )
    emit(made, json=json, human=_print_made)


def _print_made(made: _Made) -> None:
    print(f"made {made.directory} for {made.model} of {made.maker}, as {made.hostnames[0]}")
    print(f"keep {made.offline} off every server: it holds the keys that say what firmware exists")


def _renew(
    sign: Callable[..., datetime], directory: Path, offline: Path | None, passphrase_env: str
) -> Renewed:
    from limpet.vendor.home import open_home

    home = open_home(directory)
    with progress("making keys and metadata"):
        expires = sign(
            home,
            offline=offline or home.offline,
            now=datetime.now(UTC),
            passphrase=read_passphrase(passphrase_env),
        )
    return Renewed(expires=expires)


@app.command(epilog=show_examples("limpet vendor renew vendor --offline /media/drawer"))
def renew(
    directory: Path = _directory,
    offline: Path | None = OFFLINE,
    service: bool = typer.Option(
        False, "--service", help="The service's certificate alone: several people hold root."
    ),
    passphrase_env: str = PASSPHRASE_ENV,
    json: bool = _json_option,
) -> None:
    """Once a year, with the drawer open: renew root, targets and the service's certificate."""
    from limpet.vendor.repository.renewal import renew as renew_offline_roles
    from limpet.vendor.repository.renewal import renew_service

    def human(done: Renewed) -> None:
        print(f"renewed; do it again before {done.expires:%Y-%m-%d}, and restart the service now")

    sign = renew_service if service else renew_offline_roles
    done = _renew(sign, directory, offline, passphrase_env)
    emit(done, json=json, human=human)


@app.command(
    epilog=show_examples(
        "limpet vendor rekey vendor --offline /media/drawer",
        "limpet vendor rekey vendor --offline /media/pki --request stolen.request",
    )
)
def rekey(
    directory: Path = _directory,
    offline: Path | None = OFFLINE,
    passphrase_env: str = PASSPHRASE_ENV,
    request: Path | None = typer.Option(
        None, "--request", help="Make a request instead, for the people who hold root and targets."
    ),
    json: bool = _json_option,
) -> None:
    """After a theft of the server, with the drawer open: other keys for all that is online."""
    from limpet.vendor.repository.rekeying import replace_online_keys

    def human(done: Renewed) -> None:
        print(
            "all that is online has other keys, issuing authority included; restart the service now"
        )
        print(f"renew root and targets before {done.expires:%Y-%m-%d}")

    if request is not None:
        _request_online(directory, offline, passphrase_env, request, json=json)
        return
    done = _renew(replace_online_keys, directory, offline, passphrase_env)
    emit(done, json=json, human=human)


def _request_online(
    directory: Path, offline: Path | None, passphrase_env: str, out: Path, *, json: bool
) -> None:
    from limpet.release.ceremony import request_online, save_request
    from limpet.vendor.home import open_home
    from limpet.vendor.repository.rekeying import draft_online_keys

    verify_new(out)
    home, now = open_home(directory), datetime.now(UTC)
    root, targets = draft_online_keys(
        home, offline=offline or home.offline, now=now, passphrase=read_passphrase(passphrase_env)
    )
    save_request(request_online(root, targets, home.repository, now=now), out)
    show_file(out, home.trust / "root.json", holders=True, json=json)


class _Suite(msgspec.Struct, frozen=True, kw_only=True):
    """What `suite` prints as JSON: what keeps to which algorithms, and the keys it took."""

    of: Literal["firmware", "service"]
    suite: SuiteId
    made: tuple[str, ...] = ()


@app.command(
    name="suite",
    epilog=show_examples(
        "limpet vendor suite vendor limpet-2026-hybrid --offline /media/drawer",
        "limpet vendor suite vendor next.toml --service",
    ),
)
def suite_command(
    directory: Path = _directory,
    newer: str = typer.Argument(
        ..., metavar="SUITE", help="The newer suite of algorithms: a file, or a name."
    ),
    service: bool = typer.Option(
        False, "--service", help="For the service, once the fleet has it; firmware goes first."
    ),
    offline: Path | None = OFFLINE,
    passphrase_env: str = PASSPHRASE_ENV,
    json: bool = _json_option,
) -> None:
    """Take a newer suite of algorithms: into the next firmware, or for the service."""
    from limpet.vendor.home import open_home
    from limpet.vendor.repository.suites import take_for_firmware, take_for_service

    home, file = open_home(directory), find_suite(newer)
    if service:
        take_for_service(home, file)
        taken = _Suite(of="service", suite=home.service_suite.id)
    else:
        made = take_for_firmware(
            home,
            file,
            offline=offline or home.offline,
            now=datetime.now(UTC),
            passphrase=read_passphrase(passphrase_env),
        )
        taken = _Suite(of="firmware", suite=home.firmware_suite.id, made=tuple(map(str, made)))
    emit(taken, json=json, human=_print_suite)


def _print_suite(taken: _Suite) -> None:
    if taken.of == "service":
        print(f"the service keeps to {taken.suite} from its next start on")
        return
    for key in taken.made:
        print(f"made {key}")
    print(f"the next firmware carries {taken.suite}: build, sign and publish a release")


@app.command(epilog=show_examples("limpet vendor serve vendor --listen 0.0.0.0:8443"))
def serve(
    directory: Path = _directory,
    listen: str = typer.Option("127.0.0.1:8443", "--listen", metavar="HOST:PORT"),
) -> None:
    """Serve repository, enrollment, reports and pages until SIGTERM or Ctrl-C."""
    from limpet.vendor.front import Service
    from limpet.vendor.home import open_home

    host, port = _split(listen)
    service = Service.load(open_home(directory))
    asyncio.run(_serve(service, host, port))


async def _serve(service: object, host: str, port: int) -> None:
    from limpet.vendor.front import Service, run_service

    if not isinstance(service, Service):
        raise Misuse("not a service")
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_service(service, host=host, port=port, stop=stop, ready=_announce, log=_log)


def _announce(host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    print(f"listening on https://{shown}:{port}", flush=True)


def _log(event: str, detail: str) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    line = msgspec.json.encode({"at": now, "event": event, "detail": detail})
    print(line.decode(), file=sys.stderr, flush=True)


def _split(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Rejected("bad-address", f"{listen!r} is not HOST:PORT", hint="say 127.0.0.1:8443")
    return host, int(port)


@app.command(
    epilog=show_examples("limpet vendor fleet vendor", "limpet vendor fleet vendor --json")
)
def fleet(directory: Path = _directory, json: bool = _json_option) -> None:
    """Every device that was seen: what it runs, and what it reported last."""
    from limpet.vendor.fleet import view_fleet
    from limpet.vendor.home import open_home
    from limpet.vendor.store import Database

    found = view_fleet(Database.open(open_home(directory).database))

    def human(devices: object) -> None:
        rows = [
            (
                device.serial,
                device.running or "-",
                _state(device),
                device.version or "-",
                _ago(device.reported_at),
                _why(device),
            )
            for device in found
        ]
        print_table(("serial", "runs", "state", "about", "reported", "why"), rows)
        print(f"{len(found)} device{'s' if len(found) != 1 else ''}")

    emit(found, json=json, human=human)


def _why(device: "FleetDevice") -> str:
    """Reason and detail; of a hold the detail begins with the reason."""
    reason, detail = device.reason, device.detail
    if not reason or detail.startswith(f"{reason}: "):
        return detail
    return f"{reason}: {detail}" if detail else reason


def _state(device: "FleetDevice") -> str:
    state = ("blocked" if device.blocked else device.state) or "enrolled"
    return f"{state}, doubled" if device.doubled else state


def _ago(then: datetime | None) -> str:
    if then is None:
        return "never"
    seconds = max(0, int((datetime.now(UTC) - then).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


class _Block(msgspec.Struct, frozen=True, kw_only=True):
    """What `block` and `unblock` print as JSON."""

    serial: str
    model: str
    blocked: bool


@app.command(
    epilog=show_examples("limpet vendor block vendor TH-A1B2C3D4 --reason 'key extracted'")
)
def block(
    directory: Path = _directory,
    serial: str = typer.Argument(...),
    model: str = _model,
    reason: str = _reason,
    json: bool = _json_option,
) -> None:
    """Refuse certificates and reports of one device from now on."""
    done = _set_block(directory, serial, model, blocked=True, reason=reason)
    emit(done, json=json, human=lambda done: print(f"{done.serial} is blocked"))


@app.command(epilog=show_examples("limpet vendor unblock vendor TH-A1B2C3D4"))
def unblock(
    directory: Path = _directory,
    serial: str = typer.Argument(...),
    model: str = _model,
    json: bool = _json_option,
) -> None:
    """Lift the block of one device."""
    done = _set_block(directory, serial, model, blocked=False, reason="")
    emit(done, json=json, human=lambda done: print(f"{done.serial} is not blocked"))


def _set_block(directory: Path, serial: str, model: str, *, blocked: bool, reason: str) -> _Block:
    from limpet.vendor.home import open_home
    from limpet.vendor.store import Database, Devices

    home = open_home(directory).choose(model)
    with Database.open(home.database).transaction() as connection:
        Devices(connection).set_block(
            serial, home.model, now=datetime.now(UTC), blocked=blocked, reason=reason
        )
    return _Block(serial=serial, model=home.model, blocked=blocked)
