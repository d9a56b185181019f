"""`limpet rollout`: phase a release in; pause, resume or withdraw it.

Owns arguments and printing. Works on the vendor's directory, beside the running
service if there is one.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from limpet.cli import _simulate
from limpet.cli._frame import emit, make_app, show_examples
from limpet.cli._shares import PPM_PER_PERCENT, make_test, ppm

if TYPE_CHECKING:
    from limpet.vendor.rollout import Rollout, RolloutStatus
    from limpet.vendor.store import Ring

__all__ = ["app"]

app = make_app(
    "Phase a release in; pause, resume or withdraw it.",
    examples=["limpet rollout start 1.2.0 --vendor vendor --steps 1,10,25,50,75,100 --wait 3600"],
)

_vendor = typer.Option(..., "--vendor", metavar="DIR", help="The vendor's directory.")
_model = typer.Option("", "--model", help="Of which model, where the vendor has several.")
_json_option = typer.Option(False, "--json", help="Print JSON.")
_reason = typer.Option("", "--reason", help="Why, for those who read it later.")
_emergency = typer.Option(
    False, "--emergency", help="As fast as the release was signed for: no --steps, no --wait."
)
_check_interval = typer.Option(
    0, "--check-interval", min=0, max=7 * 86400, help="Seconds between checks; 0: the product's."
)
_report = typer.Option(
    None, "--report", help="Percent of the fleet that reports; default: as few as was signed."
)
_version = typer.Argument(..., help="A published version.")


@app.command(
    epilog=show_examples(
        "limpet rollout start 1.2.0 --vendor vendor --canary TH-A1B2C3D4 --steps 10,30,50,75,100"
    )
)
def start(
    version: str = _version,
    vendor: Path = _vendor,
    model: str = _model,
    steps: str = typer.Option(
        "1,5,25,50,75,100", "--steps", help="Shares of the fleet in percent."
    ),
    wait: int = typer.Option(3600, "--wait", min=0, help="Seconds that each step lasts at least."),
    canary: list[str] = typer.Option([], "--canary", help="Serial of a device that goes first."),
    ring: list[str] = typer.Option([], "--ring", help="A ring that goes first, in this order."),
    tolerable: str = typer.Option("0.5%", "--tolerable", help="Failure rate that shall pass."),
    intolerable: str = typer.Option("2%", "--intolerable", help="Failure rate that shall halt."),
    alpha: str = typer.Option(
        "5%", "--alpha", help="Chance that a rollout halts a tolerable release."
    ),
    beta: str = typer.Option("5%", "--beta", help="Chance that a test passes an intolerable one."),
    distrust: int = typer.Option(
        3, "--distrust", min=0, help="Devices that may lie: their failures alone never halt."
    ),
    silent_after: int = typer.Option(
        3600, "--silent-after", min=1, help="Seconds after which an attempt without result failed."
    ),
    check_interval: int = _check_interval,
    report: str | None = _report,
    emergency: bool = _emergency,
    json: bool = _json_option,
) -> None:
    """Roll a published release out: canaries and rings, then rising shares of the fleet."""
    from limpet.vendor import rollout

    status = rollout.start(
        _open(vendor, model),
        version,
        shares_ppm=None if emergency else [ppm(part) for part in steps.split(",")],
        wait_seconds=0 if emergency else wait,
        canaries=canary,
        rings=ring,
        test=make_test(tolerable, intolerable, alpha, beta, distrust),
        silent_seconds=silent_after,
        # A device holds it within the product's bounds.
        check_interval_seconds=check_interval or (1 if emergency else None),
        report_ppm=None if report is None else ppm(report, hint="say --report 10%"),
    )
    emit(status, json=json, human=_print)


@app.command(epilog=show_examples("limpet rollout pause --vendor vendor --reason 'odd reports'"))
def pause(
    vendor: Path = _vendor, model: str = _model, reason: str = _reason, json: bool = _json_option
) -> None:
    """Admit nobody until it is resumed."""
    from limpet.vendor import rollout

    emit(rollout.pause(_open(vendor, model), reason=reason), json=json, human=_print)


@app.command(epilog=show_examples("limpet rollout resume --vendor vendor"))
def resume(
    vendor: Path = _vendor, model: str = _model, reason: str = _reason, json: bool = _json_option
) -> None:
    """Go on after a pause or a halt; failures seen so far no longer count."""
    from limpet.vendor import rollout

    emit(rollout.resume(_open(vendor, model), reason=reason), json=json, human=_print)


@app.command(epilog=show_examples("limpet rollout withdraw 1.2.0 --vendor vendor"))
def withdraw(
    version: str = _version,
    vendor: Path = _vendor,
    model: str = _model,
    reason: str = _reason,
    json: bool = _json_option,
) -> None:
    """Refuse a release from now on; devices remember it."""
    from limpet.vendor import rollout

    emit(rollout.withdraw(_open(vendor, model), version, reason=reason), json=json, human=_print)


@app.command(epilog=show_examples("limpet rollout status --vendor vendor --json"))
def status(vendor: Path = _vendor, model: str = _model, json: bool = _json_option) -> None:
    """How the rollout stands, what the fleet has shown, and what it waits for."""
    from limpet.vendor import rollout

    emit(rollout.status(_open(vendor, model)), json=json, human=_print)


@app.command(epilog=show_examples("limpet rollout ring lab TH-A1B2C3D4 --vendor vendor --rank 1"))
def ring(
    name: str = typer.Argument(..., help="The ring's name."),
    serials: list[str] = typer.Argument(None, help="Devices that join it, seen yet or not."),
    vendor: Path = _vendor,
    model: str = _model,
    rank: int | None = typer.Option(None, "--rank", help="Lower goes first; default: last."),
    leave: list[str] = typer.Option([], "--leave", help="A device that leaves its ring."),
    remove: bool = typer.Option(False, "--remove", help="Forget the ring."),
    json: bool = _json_option,
) -> None:
    """Say which devices go first; rollouts take a ring by `--ring NAME`."""
    from limpet.vendor import rollout

    opened = _open(vendor, model)
    if remove:
        found = rollout.remove_ring(opened.database, opened.model, name)
    else:
        found = rollout.set_ring(
            opened.database, opened.model, name, join=serials or (), leave=leave, rank=rank
        )
        for stranger in rollout.find_strangers(opened.database, serials or ()):
            typer.echo(f"limpet: {stranger} has never called: not sold yet, or mistyped?", err=True)
    emit(found, json=json, human=_print_rings)


@app.command(epilog=show_examples("limpet rollout rings --vendor vendor"))
def rings(vendor: Path = _vendor, model: str = _model, json: bool = _json_option) -> None:
    """The rings and their devices, in their order."""
    from limpet.vendor import rollout

    opened = _open(vendor, model)
    emit(rollout.list_rings(opened.database, opened.model), json=json, human=_print_rings)


app.command(epilog=show_examples(_simulate.EXAMPLE))(_simulate.simulate)


def _print_rings(rings: "tuple[Ring, ...]") -> None:
    for ring in rings:
        print(f"{ring.name}: {', '.join(ring.serials) or 'nobody'}")
    if not rings:
        print("there are no rings")


def _open(directory: Path, model: str) -> "Rollout":
    from limpet.vendor.home import open_home
    from limpet.vendor.repository import Repository
    from limpet.vendor.rollout import Rollout
    from limpet.vendor.store import Database

    def clock() -> datetime:
        return datetime.now(UTC)

    home = open_home(directory).choose(model)
    return Rollout(
        home=home,
        database=Database.open(home.database),
        repository=Repository(home, clock),
        clock=clock,
    )


def _print(status: "RolloutStatus") -> None:
    if status.version is None:
        print(f"{status.model}: no release was rolled out yet")
        return
    share = f"{status.admitted_ppm / PPM_PER_PERCENT:g} %"
    state = (
        "complete" if status.complete and status.state.value == "running" else status.state.value
    )
    print(
        f"{status.model} {status.version}: {state}, step {status.step} of {status.steps}, {share}"
    )
    for ring in status.rings:
        waits = "" if ring.admitted else " (not yet)"
        print(f"  ring {ring.name}: {', '.join(ring.serials)}{waits}")
    print(
        f"  attempts: {status.succeeded} succeeded, {status.failed} failed, "
        f"{status.silent} silent, {status.pending} pending"
    )
    if status.estimate is not None:
        estimate = status.estimate
        print(
            f"  {status.report_ppm / PPM_PER_PERCENT:g} % of the fleet report: about "
            f"{estimate.succeeded:,} succeeded, {estimate.failed:,} failed or silent in the fleet"
        )
    if status.test is not None:
        test = status.test
        print(
            f"  health: {test.health}, evidence {test.evidence:+.2f} "
            f"(halts at {test.halt_at:+.2f}, passes at {test.pass_at:+.2f})"
        )
    if status.waiting_for:
        print(f"  {status.waiting_for}: {status.detail}".rstrip(": "))
    for entry in status.history:
        when = entry.at.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
        print(f"  {when}  {entry.event}  {entry.detail}".rstrip())
