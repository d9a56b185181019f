"""What a plan does to a fleet, over several simulated runs: percentiles, and whether they suffice.

Owns the summary and its limits. The runs are `limpet.vendor.rollout.simulation`'s; each has a seed
of its own that follows from the forecast's, so that the same words give the same figures.
"""

import random
from collections.abc import Callable, Sequence

import msgspec

from .simulation import Fleet, Run, Schedule, simulate

__all__ = ["Breach", "Forecast", "Limits", "Outlook", "Spread", "find_breaches", "forecast"]

MAX_RUNS = 1000
_HOUR = 3600.0


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A figure over all runs: its median, the 90th percentile, and the largest."""

    half: float
    nine_tenths: float
    most: float


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one kind of release; times in hours from the start."""

    failing: float  # the rate
    runs: int
    halted: int  # runs
    held: int  # runs that stopped and wait for a person
    completed: int
    took: Spread  # devices that activated it
    broken: Spread  # devices on which it failed, bricked ones included
    bricked: Spread
    halt_hours: Spread | None
    last_hours: Spread | None  # until the last device took it, of those runs that completed
    complete_hours: Spread | None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """A bad and a good release under one plan."""

    devices: int
    seed: int
    bad: Outlook
    good: Outlook


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan must keep to, in nine of ten runs; None: anything goes."""

    broken: int | None = None  # devices that a bad release breaks
    hours: float | None = None  # until a good one is complete
    false_stops: float | None = None  # share of the good release's runs that halt, or wait


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that is not kept."""

    limit: str
    allowed: float
    measured: float


def forecast(
    fleet: Fleet,
    schedule: Schedule,
    *,
    bad: float,
    good: float,
    runs: int,
    seed: int,
    tell: Callable[[str], None] = lambda done: None,
) -> tuple[Forecast, Run, Run]:
    """The forecast, and the run of each release that is nearest to its median.

    `tell` hears after each run. Raises as `simulate`.
    """
    outlooks, typical = [], []
    for name, failing in (("bad", bad), ("good", good)):
        made = []
        for number in range(min(runs, MAX_RUNS)):
            # Not a secret: a simulation that can be repeated.
            rng = random.Random(f"{seed} {name} {number}")  # noqa: S311
            made.append(simulate(fleet, schedule, failing=failing, rng=rng))
            tell(f"a release that fails at {failing:.2%}, run {number + 1} of {runs}")
        outlooks.append(_outlook(failing, made))
        typical.append(sorted(made, key=_rank)[len(made) // 2])
    told = Forecast(devices=fleet.devices, seed=seed, bad=outlooks[0], good=outlooks[1])
    return told, typical[0], typical[1]


def find_breaches(told: Forecast, limits: Limits) -> tuple[Breach, ...]:
    """The limits that the forecast does not keep."""
    found = []
    if limits.broken is not None and told.bad.broken.nine_tenths > limits.broken:
        found.append(
            Breach(limit="broken", allowed=limits.broken, measured=told.bad.broken.nine_tenths)
        )
    if limits.hours is not None:
        taken = told.good.complete_hours
        measured = taken.nine_tenths if taken is not None else float("inf")
        if measured > limits.hours:
            found.append(Breach(limit="hours", allowed=limits.hours, measured=measured))
    if limits.false_stops is not None:
        share = (told.good.halted + told.good.held) / told.good.runs
        if share > limits.false_stops:
            found.append(Breach(limit="false-stops", allowed=limits.false_stops, measured=share))
    return tuple(found)


def _rank(run: Run) -> tuple[float, float]:
    return run.took, run.halted_after or run.completed_after or 0.0


def _outlook(failing: float, runs: Sequence[Run]) -> Outlook:
    halted = [run for run in runs if run.halted_after is not None]
    completed = [run for run in runs if run.completed_after is not None and run not in halted]
    return Outlook(
        failing=failing,
        runs=len(runs),
        halted=len(halted),
        held=len(runs) - len(halted) - len(completed),
        completed=len(completed),
        took=_spread([run.took for run in runs]),
        broken=_spread([run.broken for run in runs]),
        bricked=_spread([run.bricked for run in runs]),
        halt_hours=_hours([run.halted_after for run in halted]),
        last_hours=_hours([run.last_activation for run in completed]),
        complete_hours=_hours([run.completed_after for run in completed]),
    )


def _hours(seconds: Sequence[float | None]) -> Spread | None:
    known = [round(at / _HOUR, 2) for at in seconds if at is not None]
    return _spread(known) if known else None


def _spread(figures: Sequence[float]) -> Spread:
    """Nearest-rank percentiles: each is a figure that some run had."""
    ordered = sorted(figures)
    last = len(ordered) - 1
    return Spread(
        half=ordered[last // 2],
        nine_tenths=ordered[min(last, -(-9 * len(ordered) // 10) - 1)],
        most=ordered[last],
    )
