"""`limpet rollout simulate`: what a plan does to a fleet, before a fleet has to show it.

Owns arguments and printing. Touches no vendor's directory.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from limpet.cli._frame import emit, progress
from limpet.cli._shares import make_test, ppm, share
from limpet.errors import Unavailable

if TYPE_CHECKING:
    from limpet.vendor.rollout import Breach, Fleet, Forecast, HealthTest, Outlook, Schedule

__all__ = ["EXAMPLE", "simulate"]

EXAMPLE = "limpet rollout simulate --devices 1000 --bad 5% --at-most-broken 50 --svg forecast.svg"
_DAY = 86400
_EXIT_BREACH = 1


_at_most_broken = typer.Option(
    None, "--at-most-broken", help="Exit 1 if a bad release breaks more in 9 of 10 runs."
)
_at_most_hours = typer.Option(
    None, "--at-most-hours", help="Exit 1 if a good one takes longer in 9 of 10 runs."
)
_at_most_false_stops = typer.Option(
    None, "--at-most-false-stops", help="Exit 1 if a good one stops in more runs (percent)."
)


def simulate(
    devices: int = typer.Option(1000, "--devices", min=1, help="In the fleet."),
    bad: str = typer.Option("5%", "--bad", help="Failure rate of the bad release."),
    good: str = typer.Option("0.1%", "--good", help="Failure rate of the good one."),
    steps: str = typer.Option("1,5,25,50,75,100", "--steps", help="As of `start`."),
    wait: int = typer.Option(3600, "--wait", min=0, help="As of `start`."),
    ring: list[int] = typer.Option([], "--ring", min=1, help="A ring of so many devices first."),
    silent_after: int = typer.Option(3600, "--silent-after", min=1, help="As of `start`."),
    tolerable: str = typer.Option("0.5%", "--tolerable", help="As of `start`."),
    intolerable: str = typer.Option("2%", "--intolerable", help="As of `start`."),
    alpha: str = typer.Option("5%", "--alpha", help="As of `start`."),
    beta: str = typer.Option("5%", "--beta", help="As of `start`."),
    distrust: int = typer.Option(3, "--distrust", min=0, help="As of `start`."),
    check_interval: int = typer.Option(3600, "--check-interval", min=1, help="Seconds, ±50 %."),
    minimum_days: float = typer.Option(7.0, "--minimum-days", min=0.0, help="As of the release."),
    largest_step: str = typer.Option("25%", "--largest-step", help="As of the release."),
    report: str = typer.Option("100%", "--report", help="As of `start`."),
    bricked: str = typer.Option("50%", "--bricked", help="Share of failures that stay silent."),
    hostile: int = typer.Option(
        0, "--hostile", min=0, help="Devices that report a failure always."
    ),
    runs: int = typer.Option(10, "--runs", min=1, max=1000, help="Of each release."),
    seed: int = typer.Option(1, "--seed", help="The same seed gives the same figures."),
    at_most_broken: int | None = _at_most_broken,
    at_most_hours: float | None = _at_most_hours,
    at_most_false_stops: str | None = _at_most_false_stops,
    svg: Path | None = typer.Option(None, "--svg", help="Write a picture of two typical runs."),
    json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Simulate a bad and a good release: how many devices break, and how long it takes."""
    from limpet.vendor import rollout

    test = make_test(tolerable, intolerable, alpha, beta, distrust)
    schedule = _schedule(steps, wait, silent_after, minimum_days, largest_step, test, report)
    fleet = _fleet(devices, check_interval, ring, share(bricked), hostile)
    limits = rollout.Limits(
        broken=at_most_broken,
        hours=at_most_hours,
        false_stops=share(at_most_false_stops) if at_most_false_stops is not None else None,
    )
    told = _forecast(fleet, schedule, (share(bad), share(good)), runs, seed, svg)
    breaches = rollout.find_breaches(told, limits)
    result = {"forecast": told, "breaches": breaches}
    emit(result, json=json, human=lambda _: _print(told, breaches))
    if breaches:
        raise typer.Exit(_EXIT_BREACH)


def _schedule(
    steps: str,
    wait: int,
    silent_after: int,
    minimum_days: float,
    largest_step: str,
    test: "HealthTest",
    report: str,
) -> "Schedule":
    from limpet.vendor.rollout import Schedule

    return Schedule(
        shares_ppm=tuple(ppm(part) for part in steps.split(",")),
        wait_seconds=wait,
        silent_seconds=silent_after,
        minimum_duration_seconds=int(minimum_days * _DAY),
        largest_step_ppm=ppm(largest_step),
        test=test,
        report_ppm=ppm(report, hint="say --report 10%"),
    )


def _forecast(
    fleet: "Fleet",
    schedule: "Schedule",
    rates: tuple[float, float],
    runs: int,
    seed: int,
    svg: Path | None,
) -> "Forecast":
    """The forecast for a bad and a good rate; its picture goes to `svg`."""
    from limpet.storage import write_atomic
    from limpet.vendor import rollout

    bad, good = rates
    if svg is not None and not svg.parent.is_dir():  # known before minutes of work, not after
        raise Unavailable(f"there is no directory {svg.parent}", hint="make it, then try again")
    with progress("simulating", total=2 * runs) as shown:
        told, worse, better = rollout.forecast(
            fleet,
            schedule,
            bad=bad,
            good=good,
            runs=runs,
            seed=seed,
            tell=lambda note: shown.advance(note=note),
        )
    if svg is not None:
        picture = rollout.draw_forecast(
            worse, better, devices=fleet.devices, bad_rate=bad, good_rate=good
        )
        write_atomic(svg, picture.encode(), mode=0o644)
    return told


def _fleet(
    devices: int, check_interval: int, rings: list[int], bricked: float, hostile: int
) -> "Fleet":
    """A fleet whose devices wait as real ones do."""
    from limpet.device.updater.schedule import choose_interval
    from limpet.vendor.rollout import Fleet

    interval = choose_interval(
        owner_seconds=None,
        planned_seconds=check_interval,
        product=(check_interval, check_interval, check_interval),
    )
    return Fleet(
        devices=devices,
        next_check=lambda rng: interval.draw(rng.random),
        longest_wait=interval.longest,
        ring_sizes=tuple(rings),
        bricked_share=bricked,
        hostile=hostile,
    )


def _print(told: "Forecast", breaches: "tuple[Breach, ...]") -> None:
    print(f"{told.devices:,} devices, {told.bad.runs} runs each (half of them, nine of ten, worst)")
    for name, outlook in (("bad", told.bad), ("good", told.good)):
        _print_outlook(name, outlook)
    for breach in breaches:
        print(f"not kept: at most {breach.allowed:g} {breach.limit}, here {breach.measured:g}")


def _print_outlook(name: str, outlook: "Outlook") -> None:
    print(
        f"{name}, fails at {outlook.failing:.2%}: halted {outlook.halted}, waits for a person "
        f"{outlook.held}, completed {outlook.completed}"
    )
    rows = (
        ("devices that took it", outlook.took),
        ("broken", outlook.broken),
        ("of these bricked", outlook.bricked),
        ("hours to the halt", outlook.halt_hours),
        ("hours to the last device", outlook.last_hours),
        ("hours to the end", outlook.complete_hours),
    )
    for label, spread in rows:
        if spread is not None:
            figures = f"{spread.half:>10,.6g}{spread.nine_tenths:>10,.6g}{spread.most:>10,.6g}"
            print(f"  {label:<26}{figures}")
