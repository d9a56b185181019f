"""A rollout in a simulated fleet: how many take a bad release, how long a good one takes.

Owns the events of devices in time, and nothing that decides: who is admitted, when, and what the
vendor does next come from the code that does it in earnest (`decide_step`, `Tally`, `make_plan`,
`position`, `is_admitted`, `earliest_installation`; the waits between checks from the caller).
Pure: randomness is a parameter, time is simulated.

A device checks after waits drawn by `next_check`. A check that finds it admitted (in a plan that
is at most `cache_seconds` old) begins an installation, reads the plan again when it is written,
and is on trial then. What fails falls back and says so, or is bricked and never says anything. All
devices are switched on and connected: a real fleet is slower, and breaks no more at once.
"""

import bisect
import enum
import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from limpet.errors import Rejected
from limpet.vendor.store import ErrorRates, Ring, RolloutRow, RolloutState
from limpet.wire.release import Bounds
from limpet.wire.rollout import (
    WHOLE_PPM,
    Plan,
    earliest_installation,
    is_admitted,
    is_named,
    is_sampled,
    position,
)

from .decision import Advance, Complete, Halt, Stay, choose_report_rate, decide_step, decide_steps
from .evidence import Tally
from .health import HealthTest
from .plan import make_plan

__all__ = ["MODEL", "Course", "Fleet", "Run", "Schedule", "simulate"]

MODEL = "simulated"
START = datetime(2026, 1, 1, tzinfo=UTC)
MAX_DEVICES = 1_000_000
_POINTS = 400  # of a curve that is kept

NextCheck = Callable[[random.Random], float]
"""Seconds from one check to the next, as a device draws them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The devices and their habits."""

    devices: int
    next_check: NextCheck
    longest_wait: float  # the bound of what `next_check` draws
    ring_sizes: tuple[int, ...] = ()
    install_seconds: float = 300.0  # on average; drawn between half of it and one and a half
    trial_seconds: float = 60.0  # until a result is known, likewise
    cache_seconds: float = 60.0  # how old a plan may be that a device reads
    bricked_share: float = 0.5  # of what fails: never heard of again; the rest falls back
    hostile: int = 0  # devices that report a failure, all at once when the last is admitted

    @property
    def longest_attempt(self) -> float:
        """Seconds from the begin of an attempt to its result, at most."""
        return 1.5 * (self.install_seconds + self.trial_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The rollout, as `limpet rollout start` takes it, and the bounds of its release."""

    shares_ppm: tuple[int, ...]
    wait_seconds: int
    silent_seconds: int
    minimum_duration_seconds: int
    largest_step_ppm: int
    test: HealthTest
    report_ppm: int = WHOLE_PPM


@dataclass(frozen=True, slots=True)
class Course:
    """How many devices so far, at most some hundred points: (seconds, number)."""

    points: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of one rollout; seconds are counted from its start."""

    halted_after: float | None  # None: it was not halted
    completed_after: float | None
    held: str  # what it waits for, if it neither halted nor completed
    took: int  # devices that activated the release
    broken: int  # of them: failed, bricked ones included
    bricked: int
    last_activation: float
    taken: Course
    failures: Course
    admitted: Course  # parts per million


class _Kind(enum.IntEnum):
    CHECK = 0
    ACTIVATE = 1
    RESULT = 2
    SILENT = 3
    LOOK = 4  # the vendor's


@dataclass(slots=True)
class _Counts:
    took: list[float] = field(default_factory=list)
    broken: list[float] = field(default_factory=list)
    bricked: int = 0
    admitted: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])


def simulate(fleet: Fleet, schedule: Schedule, *, failing: float, rng: random.Random) -> Run:
    """Roll a release out that fails on each device with probability `failing`.

    Raises `Rejected`: bad-scenario, and as `decide_steps` does.
    """
    if not 1 <= fleet.devices <= MAX_DEVICES:
        raise Rejected("bad-scenario", f"a fleet has 1 to {MAX_DEVICES:,} devices")
    if sum(fleet.ring_sizes) > fleet.devices or min(fleet.ring_sizes, default=1) < 1:
        raise Rejected("bad-scenario", "each ring has a device, and all are of the fleet")
    if fleet.longest_attempt >= schedule.silent_seconds:
        raise Rejected(
            "bad-scenario",
            f"an attempt takes up to {fleet.longest_attempt:.0f} s, and counts as failed after "
            f"{schedule.silent_seconds} s",
            hint="raise --silent-after",
        )
    return _Simulation(fleet, schedule, failing, rng).run()


class _Simulation:
    """One run. The events are in a heap; whoever was admitted has exactly one chain of them."""

    def __init__(
        self, fleet: Fleet, schedule: Schedule, failing: float, rng: random.Random
    ) -> None:
        self._fleet, self._failing, self._rng = fleet, failing, rng
        self._serials = [f"D{number}" for number in range(fleet.devices)]
        self._bounds = Bounds(
            not_before=START,
            minimum_duration_seconds=schedule.minimum_duration_seconds,
            largest_step_ppm=schedule.largest_step_ppm,
            report_ppm=1,
        )
        self._row = _first_row(fleet, schedule, self._bounds, self._serials, rng)
        digest = self._row.manifest_sha256
        self._place = [position(digest, serial) for serial in self._serials]
        rate, rings = schedule.report_ppm, frozenset(self._row.canaries)
        self._heard = [
            rate == WHOLE_PPM or serial in rings or is_sampled(digest, serial, rate)
            for serial in self._serials
        ]
        self._queue = sorted(range(fleet.devices), key=self._place.__getitem__)
        self._places = sorted(self._place)
        self._hostile = frozenset(
            rng.sample(range(fleet.devices), min(fleet.hostile, fleet.devices))
        )
        self._ready: set[int] = set()
        self._tally = Tally(self._row)
        self._events: list[tuple[float, int, _Kind, int, bool]] = []
        self._number = 0
        self._begun: dict[int, float] = {}
        self._plans: list[tuple[float, Plan]] = []
        self._counts = _Counts()
        self._held = ""
        self._look_at = -1.0

    def run(self) -> Run:
        """All events until nothing is left to happen."""
        self._publish(0.0)
        self._look(0.0)
        while self._events:
            at, _, kind, device, good = heapq.heappop(self._events)
            if kind is _Kind.CHECK:
                self._check(at, device)
            elif kind is _Kind.ACTIVATE:
                self._activate(at, device, good)
            elif kind is _Kind.LOOK:
                self._look(at)
            else:
                self._tally.pending -= 1
                begun = START + timedelta(seconds=self._begun[device])
                self._tally.end(
                    self._serials[device], good, begun=begun, silent=kind is _Kind.SILENT
                )
                # A success while others are pending changes no decision (rule 5).
                if not good or not self._tally.pending:
                    self._look(at)
        return self._told()

    # ---- the vendor

    def _look(self, at: float) -> None:
        """What the service does each second: decide, until nothing more is due now."""
        now = START + timedelta(seconds=at)
        while True:
            match decide_step(self._row, self._tally.evidence(self._row), self._bounds, now=now):
                case Advance():
                    before = self._row.admitted_ppm
                    self._row = replace(self._row, step=self._row.step + 1, step_at=now)
                    self._publish(at)
                    self._admit(at, before)
                case Complete():
                    self._row = replace(self._row, completed_at=now)
                case Halt():
                    self._row = replace(self._row, state=RolloutState.HALTED, reason=f"{at}")
                    self._publish(at)
                case Stay(reason, _):
                    self._held = reason
                    if reason == "minimum-wait":
                        self._look_later(at)
                    return

    def _look_later(self, at: float) -> None:
        """Once more when the step's time is over: the only decision that no report brings."""
        row = self._row
        covered = (earliest_installation(self._bounds, row.admitted_ppm) - START).total_seconds()
        since = (row.step_at - START).total_seconds()
        due = max(since, covered) + row.steps[row.step].wait_seconds
        if due > at and due != self._look_at:
            self._look_at = due
            self._push(due, _Kind.LOOK, -1)

    def _publish(self, at: float) -> None:
        now = START + timedelta(seconds=at)
        self._plans.append((at, make_plan(MODEL, self._row, (), now=now)))
        if self._row.admitted_ppm != self._counts.admitted[-1][1]:
            self._counts.admitted.append((at, self._row.admitted_ppm))

    def _admit(self, at: float, before_ppm: int) -> None:
        """The next check of each device that this step lets in."""
        row = self._row
        first, last = (
            bisect.bisect_left(self._places, ppm) for ppm in (before_ppm, row.admitted_ppm)
        )
        fresh = self._queue[first:last]
        if row.step < len(row.rings):
            fresh = [int(serial[1:]) for serial in row.rings[row.step].serials]
        for device in fresh:
            if device not in self._begun:
                self._push(at + self._until_check(), _Kind.CHECK, device)

    # ---- the devices

    def _until_check(self) -> float:
        """From any moment to a device's next check: it falls into long waits more often."""
        while True:
            wait = self._fleet.next_check(self._rng)
            if self._rng.random() * self._fleet.longest_wait < wait:
                return wait * self._rng.random()

    def _seen(self, at: float) -> Plan:
        """The plan that a device reads, which a cache may have kept for its lifetime."""
        plans = self._plans
        number = len(plans) - 1
        while number > 0 and plans[number][0] + self._fleet.cache_seconds > at:
            number -= 1
        return plans[number][1]

    def _check(self, at: float, device: int) -> None:
        plan, serial = self._seen(at), self._serials[device]
        if not is_admitted(plan, serial):
            if self._row.state is RolloutState.RUNNING:  # the cache was old
                self._push(at + self._fleet.next_check(self._rng), _Kind.CHECK, device)
            return
        place = 0 if is_named(plan, serial) else self._place[device]
        earliest = (earliest_installation(self._bounds, place) - START).total_seconds()
        if at < earliest:
            self._push(earliest + self._until_check(), _Kind.CHECK, device)
            return
        if device in self._begun:
            return
        if device in self._hostile:
            self._wait_for_accomplices(at, device)
            return
        self._begun[device] = at
        good = self._rng.random() >= self._failing
        self._tally.pending += self._heard[device]
        written = at + self._fleet.install_seconds * (0.5 + self._rng.random())
        self._push(written, _Kind.ACTIVATE, device, good=good)

    def _wait_for_accomplices(self, at: float, device: int) -> None:
        """Hostile devices say nothing until they can all fail at once: nothing weighs more."""
        self._ready.add(device)
        if len(self._ready) < len(self._hostile):
            return
        for one in self._ready:
            self._begun[one] = at
            if not self._heard[one]:
                continue  # who is not in the sample has no vote, whatever it says
            self._tally.pending += 1
            self._push(at, _Kind.RESULT, one, good=False)

    def _activate(self, at: float, device: int, good: bool) -> None:
        if not is_admitted(self._seen(at), self._serials[device]):
            self._tally.pending -= self._heard[device]  # halted meanwhile: it keeps what it has
            return
        self._counts.took.append(at)
        known = at + self._fleet.trial_seconds * (0.5 + self._rng.random())
        if not good:
            self._counts.broken.append(known)
            if self._rng.random() < self._fleet.bricked_share:
                self._counts.bricked += 1
                silent_at = self._begun[device] + self._row.silent_seconds
                if self._heard[device]:
                    self._push(silent_at, _Kind.SILENT, device, good=False)
                return
        if self._heard[device]:
            self._push(known, _Kind.RESULT, device, good=good)

    def _push(self, at: float, kind: _Kind, device: int, *, good: bool = True) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, kind, device, good))

    def _told(self) -> Run:
        row, counts = self._row, self._counts
        halted = float(row.reason) if row.state is RolloutState.HALTED else None
        done = row.completed_at
        return Run(
            halted_after=halted,
            completed_after=(done - START).total_seconds() if done is not None else None,
            held=self._held if halted is None and done is None else "",
            took=len(counts.took),
            broken=len(counts.broken),
            bricked=counts.bricked,
            last_activation=max(counts.took, default=0.0),
            taken=_course(counts.took),
            failures=_course(counts.broken),
            admitted=Course(tuple(counts.admitted)),
        )


def _first_row(
    fleet: Fleet, schedule: Schedule, bounds: Bounds, serials: Sequence[str], rng: random.Random
) -> RolloutRow:
    """The row of a rollout that begins, of a release with a hash drawn by `rng`."""
    free, rings = list(range(fleet.devices)), list[Ring]()
    rng.shuffle(free)
    for number, size in enumerate(fleet.ring_sizes, 1):
        chosen = tuple(serials[free.pop()] for _ in range(size))
        rings.append(Ring(f"ring-{number}", chosen))
    steps = decide_steps(
        schedule.shares_ppm, wait_seconds=schedule.wait_seconds, rings=rings, bounds=bounds
    )
    test = schedule.test
    return RolloutRow(
        id=1,
        model=MODEL,
        version="1.1.0",
        manifest_sha256=f"{rng.getrandbits(256):064x}",
        state=RolloutState.RUNNING,
        rings=tuple(rings),
        steps=steps,
        step=-1,
        silent_seconds=schedule.silent_seconds,
        check_interval_seconds=None,
        started_at=START,
        step_at=START,
        counted_from=START,
        completed_at=None,
        reason="",
        revision=1,
        published=1,
        test=ErrorRates(
            tolerable=test.tolerable,
            intolerable=test.intolerable,
            alpha=test.alpha,
            beta=test.beta,
            distrust=test.distrust,
        ),
        report_ppm=choose_report_rate(schedule.report_ppm, bounds),
    )


def _course(times: Sequence[float]) -> Course:
    ordered = sorted(times)
    stride = max(1, len(ordered) // _POINTS)
    points = [(at, number + 1) for number, at in enumerate(ordered) if number % stride == 0]
    if ordered:
        points.append((ordered[-1], len(ordered)))
    return Course(((0.0, 0), *points))
