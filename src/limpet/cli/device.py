"""`limpet device`: run a device on this machine, look at it from its own side."""

import fcntl
import os
import sys
from pathlib import Path

import msgspec
import typer

from limpet.cli._frame import emit, make_app, print_table, show_examples
from limpet.device.confine import MECHANISMS
from limpet.device.link.entropy import RandomnessReport
from limpet.device.link.identity import DeviceIdentity, load_identity
from limpet.device.link.journal import Entry, read_journal
from limpet.device.link.start import parse_address
from limpet.device.supervisor.button import press_button
from limpet.device.supervisor.status import (
    DeviceStatus,
    Listening,
    read_listening,
    read_status,
)
from limpet.errors import Unavailable
from limpet.https.server import open_listener

__all__ = ["app"]

app = make_app(
    "Run a device on this machine.",
    examples=["limpet device run devices/th-a1b2c3d4", "limpet device status devices/th-a1b2c3d4"],
)
_device = typer.Argument(..., metavar="DIR", help="The device's directory.")
_json = typer.Option(False, "--json", help="Print JSON.")


class _Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What `status` shows."""

    identity: DeviceIdentity
    running: bool
    listening: Listening | None
    status: DeviceStatus | None


@app.command(epilog=show_examples("limpet device run devices/th-a1b2c3d4 --listen 0.0.0.0:8443"))
def run(
    directory: Path = _device,
    listen: str = typer.Option("127.0.0.1:0", help="HOST:PORT; port 0: any free one."),
    resolve: list[str] = typer.Option([], help="HOST:PORT=ADDRESS:PORT, as curl's."),
    proxy: str | None = typer.Option(None, "--proxy", help="HOST:PORT of this network's proxy."),
    trial_deadline: float = typer.Option(0.0, help="Seconds for a new firmware; 0: product's."),
    first_user_id: int = typer.Option(0, help="As root: roles run as this id and up; 0: chosen."),
) -> None:
    """Run a device until it is stopped (Ctrl-C); this process becomes its boot."""
    if not _is_running(directory):
        _verify_free(listen)
    command = [sys.executable, "-I", "-m", "limpet.device.boot", str(directory.absolute())]
    command += ["--listen", listen]
    for entry in resolve:
        command += ["--resolve", entry]
    if proxy is not None:
        command += ["--proxy", proxy]
    if trial_deadline > 0:
        command += ["--trial-deadline", str(trial_deadline)]
    if first_user_id:
        command += ["--first-user-id", str(first_user_id)]
    print(f"starting; `limpet device status {directory}` says where it listens, Ctrl-C ends it")
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606


def _verify_free(listen: str) -> None:
    """Raise `Unavailable` if nobody can listen there now.

    A device itself keeps trying (its address may come later), but a person wants to be told.
    """
    host, port = parse_address(listen)
    open_listener(host, port, backlog=1).close()


@app.command(epilog=show_examples("limpet device status devices/th-a1b2c3d4 --confinement"))
def status(
    directory: Path = _device,
    confinement: bool = typer.Option(False, "--confinement", help="What each role gave up."),
    json: bool = _json,
) -> None:
    """Show slot, version, processes and where it listens."""
    identity = load_identity(directory)
    found = _last_status(directory)
    running = found is not None and _is_running(directory)
    listening = read_listening(directory) if running else None
    seen = _Seen(identity=identity, running=running, listening=listening, status=found)
    emit(seen, json=json, human=_print_confinement if confinement else _print_status)


@app.command(epilog=show_examples("limpet device button devices/th-a1b2c3d4"))
def button(directory: Path = _device) -> None:
    """Press the device's button: for two minutes you count as being at the device."""
    load_identity(directory)
    press_button(directory)
    print("pressed; the device takes a label's code as yours for two minutes")


@app.command(epilog=show_examples("limpet device log devices/th-a1b2c3d4"))
def log(directory: Path = _device, json: bool = _json) -> None:
    """Show the device's log."""
    if not (directory / "log").is_dir():
        raise Unavailable(f"{directory} has no log", hint="is it a device's directory?")
    emit(list(read_journal(directory)), json=json, human=_print_log)


def _last_status(directory: Path) -> DeviceStatus | None:
    try:
        return read_status(directory)
    except Unavailable:
        return None


def _is_running(directory: Path) -> bool:
    """Whether a boot holds the device: the kernel releases the lock when it dies.

    Raises `Unavailable` if that is another user's business.
    """
    try:
        descriptor = os.open(directory / "run" / "boot.lock", os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        raise Unavailable(
            f"the device in {directory} belongs to another user",
            hint="ask as that user, or as root",
        ) from None
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _print_status(seen: _Seen) -> None:
    who = seen.identity
    print(f"{who.model} {who.serial}, hardware {who.hardware_revision}, by {who.maker}")
    if seen.status is None:
        print("never started")
        return
    trial = ", on trial" if seen.status.on_trial else ""
    state = "running" if seen.running else "not running; last run"
    print(f"{state}: firmware {seen.status.version} in slot {seen.status.slot}{trial}")
    if seen.status.suite:
        print(f"algorithms: {seen.status.suite}")
    if seen.listening is not None:
        print(f"listening on {seen.listening.host}:{seen.listening.port}")
    if seen.status.randomness is not None:
        _print_randomness(seen.status.randomness)
    print_table(
        ["role", "process", "state", "restarts", "confinement"],
        [
            [r.role, str(r.pid), r.state, str(r.restarts), _summary(r.confinement)]
            for r in seen.status.roles
        ],
    )


def _print_randomness(told: RandomnessReport) -> None:
    kernel = ", ".join(one for one in (told.kernel_source, *told.processor) if one)
    detail = told.detail or "its first samples are being taken"
    print(f"hardware noise source {told.source}: {detail}")
    print(f"the kernel mixes in: {kernel or 'no hardware source'}")


def _summary(confinement: tuple[object, ...]) -> str:
    missing = [c for c in confinement if not getattr(c, "in_force", False)]
    return f"{len(confinement) - len(missing)} of {len(confinement)} in force"


def _print_confinement(seen: _Seen) -> None:
    rows = []
    for role in seen.status.roles if seen.status else ():
        for one in role.confinement:
            unasked = "refused by the machine"  # a namespace: told, and not required
            lacking = "MISSING" if one.mechanism in MECHANISMS else unasked
            state = "in force" if one.in_force else lacking
            rows.append([role.role, one.mechanism, state, one.detail])
    print_table(["role", "mechanism", "state", "detail"], rows)


def _print_log(entries: list[Entry]) -> None:
    for entry in entries:
        at = entry.at.strftime("%Y-%m-%d %H:%M:%S")
        print(f"{at} {entry.level:7} {entry.role:10} {entry.event}: {entry.detail}")
