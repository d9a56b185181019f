"""`./run bench herd`: does a fleet come back like a herd once the vendor's server is back?

Owns a simulated clock, a fleet and a server that is away for a while; when each device checks is
decided by the device's own code: `limpet.device.updater.timetable`, seeded as in a device. Beside
it the same fleet with a fixed interval and a fixed retry, as the control that breaks every promise.
"""

import argparse
import heapq
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.herd_picture import Curve, Panel, draw_picture
from limpet.device.link.messages import UpdatePolicy
from limpet.device.updater.check import CheckResult, Outcome
from limpet.device.updater.floor import Floor
from limpet.device.updater.schedule import Random, choose_interval, seeded_random
from limpet.device.updater.timetable import Timetable
from limpet.product import Update, load_product

__all__ = ["MOST_IN_A_MINUTE", "MOST_IN_TEN", "SCENARIOS", "Herd", "Scenario", "simulate"]

MOST_IN_TEN = 2.5
"""Promise: no ten minutes after the return see more checks than this many times any other day's."""

MOST_IN_A_MINUTE = 3.0
"""Promise for one minute, where chance alone makes peaks."""

MOST_WHILE_AWAY = 2.5
"""Promise: a server that is overloaded is not asked more than this many times as often (ten
minutes)."""

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
START = datetime(2026, 11, 1, tzinfo=UTC)
PRODUCT = Path(__file__).parents[1] / "examples" / "thermostat" / "product.toml"
NAIVE_RETRY = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens to the fleet. `outage` seconds; `restarts`: all devices' power is cut too."""

    name: str
    outage: float
    retry_after: float | None = None  # a busy server's word, in seconds
    names_the_end: bool = False  # a busy server's word, as a date: the end of the outage
    restarts: bool = False
    naive: bool = False  # the control: fixed interval, fixed retry


@dataclass(frozen=True, slots=True, kw_only=True)
class Herd:
    """What came of it; rates in checks a minute, shares as multiples of the steady rate."""

    name: str
    devices: int
    outage_seconds: float
    steady: float
    away_ten: float  # the busiest ten minutes while the server is away
    back_minute: float  # the busiest minute after it is back
    back_ten: float
    half_seconds: float  # after the return, until half of the fleet has asked
    most_seconds: float  # until 99 % have
    minutes: tuple[int, ...]  # checks in each minute, from an hour before the outage

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return (
            self.back_ten <= MOST_IN_TEN
            and self.back_minute <= MOST_IN_A_MINUTE
            and self.away_ten <= MOST_WHILE_AWAY
        )


SCENARIOS = (
    Scenario(name="away for 10 min", outage=600),
    Scenario(name="away for 1 h", outage=HOUR),
    Scenario(name="away for 6 h", outage=6 * HOUR),
    Scenario(name="away for 24 h", outage=DAY),
    Scenario(name="away for 3 days", outage=3 * DAY),
    Scenario(name="busy for 6 h, Retry-After 1 h", outage=6 * HOUR, retry_after=HOUR),
    Scenario(name="busy for 6 h, Retry-After a date", outage=6 * HOUR, names_the_end=True),
    Scenario(name="a city without power for 1 h", outage=HOUR, restarts=True),
)
CONTROL = "control: fixed interval, fixed retry"


@dataclass(slots=True)
class _Device:
    timetable: Timetable
    random: Random
    result: CheckResult | None = None


def simulate(scenario: Scenario, *, devices: int, update: Update) -> Herd:
    """Run the fleet through the outage and two days more."""
    interval = update.check_interval_seconds
    warm = 2.0 * interval
    away, back = warm, warm + scenario.outage
    end = back + 2 * DAY
    fleet = [_device(number, update) for number in range(devices)]
    queue = [(_wait(one, scenario, interval, 0.0), place) for place, one in enumerate(fleet)]
    heapq.heapify(queue)
    minutes: Counter[int] = Counter()
    asked: dict[int, float] = {}  # after the return, for the first time
    restarted = not scenario.restarts
    while queue:
        at, place = heapq.heappop(queue)
        if at > end:
            break
        if not restarted and at >= away:
            restarted = True  # whoever was on is off, and comes on again at the end
            fleet = [_device(number + devices, update) for number in range(devices)]
            queue = [
                (back + _wait(one, scenario, interval, back), number)
                for number, one in enumerate(fleet)
            ]
            heapq.heapify(queue)
            continue
        minutes[int((at - away) // MINUTE)] += 1
        up = not away <= at < back
        if at >= back:
            asked.setdefault(place, at - back)
        device = fleet[place]
        device.result = _answer(scenario, up=up, left=back - at)
        device.timetable.count(failed=not up)
        heapq.heappush(queue, (at + _wait(device, scenario, interval, at), place))
    return _summary(scenario, devices, minutes, sorted(asked.values()), update)


def _device(number: int, update: Update) -> _Device:
    # All kernels begin with the same entropy here: the worst that can be.
    random = seeded_random(f"D-{number:06}", b"")
    return _Device(Timetable(update, monotonic=lambda: 0.0, random=random), random)


def _wait(device: _Device, scenario: Scenario, interval: int, at: float) -> float:
    if scenario.naive:
        if device.timetable.failures:
            return NAIVE_RETRY
        return float(interval) if device.result else interval * device.random()
    now = START + timedelta(seconds=at)
    return device.timetable.draw(UpdatePolicy(), device.result, now=now)


def _answer(scenario: Scenario, *, up: bool, left: float) -> CheckResult:
    floor = Floor(time=START)
    if up:
        return CheckResult(outcome=Outcome.NOTHING, floor=floor)
    asked = left if scenario.names_the_end else scenario.retry_after
    return CheckResult(outcome=Outcome.UNAVAILABLE, floor=floor, retry_after=asked)


def _summary(
    scenario: Scenario,
    devices: int,
    minutes: Counter[int],
    asked: Sequence[float],
    update: Update,
) -> Herd:
    """`minutes` counts from the begin of the outage."""
    bounds = (update.check_interval_min_seconds, update.check_interval_max_seconds)
    usual = choose_interval(
        owner_seconds=None,
        planned_seconds=None,
        product=(update.check_interval_seconds, *bounds),
    )
    steady = devices * MINUTE / usual.mean
    out = int(scenario.outage // MINUTE)
    series = [minutes[m] for m in range(-60, out + int(2 * DAY // MINUTE))]
    while_away, after = series[60 : 60 + out], series[60 + out :]
    return Herd(
        name=scenario.name,
        devices=devices,
        outage_seconds=scenario.outage,
        steady=steady,
        away_ten=_busiest_ten(while_away) / steady,
        back_minute=max(after) / steady,
        back_ten=_busiest_ten(after) / steady,
        half_seconds=asked[len(asked) // 2],
        most_seconds=asked[int(len(asked) * 0.99)],
        minutes=tuple(series),
    )


def _busiest_ten(minutes: Sequence[int]) -> float:
    return max(sum(minutes[m : m + 10]) / 10 for m in range(max(len(minutes) - 9, 1)))


def _picture(devices: int, update: Update) -> str:
    panels = []
    for hours in (1, 6, 24):
        ours, naive = (
            simulate(
                Scenario(name="", outage=hours * HOUR, naive=naive), devices=devices, update=update
            )
            for naive in (False, True)
        )
        curves = (Curve("fixed retry", naive.minutes), Curve("limpet", ours.minutes))
        panels.append(Panel(f"{hours} h away", hours, ours.steady, curves))
    return draw_picture(panels, devices)


def run(devices: int, update: Update, show: Callable[[str], None]) -> list[Herd]:
    """Every scenario, then the control, a line of each."""
    show(
        f"{devices} devices; times the steady rate, and hours until they have asked\n"
        f"{'':<42}{'steady/min':>11}{'away, 10 min':>14}{'back, 1 min':>13}{'back, 10 min':>14}"
        f"{'half':>7}{'99 %':>7}"
    )
    found = []
    control = Scenario(name=CONTROL, outage=6 * HOUR, naive=True)
    for scenario in (*SCENARIOS, control):
        herd = simulate(scenario, devices=devices, update=update)
        found.append(herd)
        promise = "kept" if herd.kept else "BROKEN"
        show(
            f"{herd.name:<42}{herd.steady:>11.1f}{herd.away_ten:>14.2f}{herd.back_minute:>13.2f}"
            f"{herd.back_ten:>14.2f}{herd.half_seconds / HOUR:>7.1f}"
            f"{herd.most_seconds / HOUR:>7.1f}  {promise}"
        )
    return found


def main(words: Sequence[str]) -> int:
    """Print the table; 1 if a promise was broken, or the control broke none."""
    parser = argparse.ArgumentParser(
        prog="./run bench herd",
        description="When a fleet checks for updates after the vendor's server was away.",
        epilog="example: ./run bench herd --picture docs/pictures/update-herd.svg",
    )
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--product", type=Path, default=PRODUCT, help="a product.toml")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--picture", type=Path, help="draw the returns after 1, 6 and 24 h (SVG)")
    given = parser.parse_args(words)
    if not 1 <= given.devices <= 1_000_000:
        parser.error("--devices: from 1 to 1000000")
    update = load_product(given.product).update
    shown = (lambda line: print(line, file=sys.stderr)) if given.json else print
    found = run(given.devices, update, shown)
    if given.picture:
        given.picture.write_text(_picture(given.devices, update), "utf-8")
    if given.json:
        print(json.dumps([{**asdict(herd), "kept": herd.kept} for herd in found]))
    *ours, control = found
    return 0 if all(herd.kept for herd in ours) and not control.kept else 1
