"""Looking at the states of a recording: how many, in which phases, and what was wrong.

Owns the three depths at which a device is started from a state: boot's choice and what the roles
load (every state), the update to its end in one process (some), the real processes (few).
"""

import json
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.cuts.digests import remembered
from tests.cuts.explore import Exploration, State
from tests.cuts.finish import finish
from tests.cuts.judge import judge
from tests.cuts.life import FIRST, serving
from tests.cuts.operations import Recording
from tests.cuts.place import place
from tests.cuts.recording import Recorded
from tests.cuts.start import offered_to, start

__all__ = ["PHASES", "Inquiry", "Problem", "inquire", "look_at", "start_from"]

PHASES = (
    "first start",
    "settings",
    "check",
    "download",
    "switch",
    "trial",
    "confirm",
    "fall-back",
    "reset",
)
AT_ONCE = 2  # real devices
CHOICE = 4  # so many times as many states are found as devices are started from
MOST_PROBLEMS = 40


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that must not be, and the state that shows it."""

    phase: str
    operation: int
    kind: str
    what: str


@dataclass(slots=True)
class Inquiry:
    """What was looked at. Counts are of distinct states."""

    operations: int = 0
    moments: int = 0
    loaded: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)
    started: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    problems: list[Problem] = field(default_factory=list)
    seen: dict[bytes, tuple[str, str]] = field(default_factory=dict)  # phase and kind by key

    def enter(self, key: bytes, phase: str, kind: str) -> None:
        """A state that a device was started from; one that was entered before does not count."""
        if key not in self.seen:
            self.seen[key] = phase, kind
            self.loaded[phase] += 1
            self.kinds[kind] += 1

    def blame(self, state: State, problems: Sequence[str]) -> None:
        """Enter what is wrong with a state, up to a bound."""
        for what in problems[: max(MOST_PROBLEMS - len(self.problems), 0)]:
            moment = state.moment
            self.problems.append(Problem(moment.phase, moment.number, state.kind, what))

    def add(self, other: "Inquiry") -> None:
        """Take in what another process looked at."""
        for key, (phase, kind) in other.seen.items():
            self.enter(key, phase, kind)
        self.finished += other.finished
        self.problems += other.problems
        self.moments = max(self.moments, other.moments)

    def as_json(self) -> str:
        """All of it, for a program."""
        phases = {
            phase: {
                "loaded": self.loaded[phase],
                "finished": self.finished[phase],
                "started": self.started[phase],
            }
            for phase in PHASES
        }
        return json.dumps(
            {
                "operations": self.operations,
                "moments": self.moments,
                "states": self.loaded.total(),
                "finished": self.finished.total(),
                "started": self.started.total(),
                "phases": phases,
                "kinds": dict(self.kinds),
                "seconds": round(self.seconds, 1),
                "problems": [
                    {
                        "phase": one.phase,
                        "operation": one.operation,
                        "kind": one.kind,
                        "what": one.what,
                    }
                    for one in self.problems
                ],
            },
            indent=1,
        )

    def as_table(self) -> str:
        """For a person, and for docs/robustness.md."""
        lines = ["| phase | states | update finished in one process | real processes started |"]
        lines.append("|---|---|---|---|")
        for phase in PHASES:
            row = self.loaded[phase], self.finished[phase], self.started[phase]
            lines.append(f"| {phase} | " + " | ".join(f"{one:,}" for one in row) + " |")
        total = self.loaded.total(), self.finished.total(), self.started.total()
        lines.append("| all | " + " | ".join(f"{one:,}" for one in total) + " |")
        kinds = ", ".join(f"{name} {count:,}" for name, count in self.kinds.most_common())
        lines.append(f"\n{self.operations:,} operations, {self.moments:,} moments; {kinds}")
        lines.append(f"{len(self.problems)} problems in {self.seconds:.0f} s")
        for one in self.problems:
            lines.append(f"  {one.phase}, operation {one.operation}, {one.kind}: {one.what}")
        return "\n".join(lines)


def inquire(
    recorded: Recorded, *, states: int, finished: int, started: int, seed: int, workers: int
) -> Inquiry:
    """Look at about so many states at each depth, spread over the phases."""
    begun = time.monotonic()
    whole = Inquiry(operations=len(recorded.device.operations))
    for part in _in_processes(workers, recorded, states, finished, seed):
        whole.add(part)
    start_from(recorded, whole, started, seed=seed)
    whole.seconds = time.monotonic() - begun
    return whole


def look_at(
    recording: Recording,
    phase: str,
    about: Callable[[str], bool],
    *,
    most: int,
    until: str | None = None,
) -> Inquiry:
    """The first depth alone: about `most` states of one phase, after operations on such paths; no
    more of them once a problem has said `until`."""
    exploration = Exploration(recording, FIRST, most=most, phases=frozenset({phase}), about=about)
    return _part(exploration, None, 0, until=until)


def _in_processes(
    workers: int, recorded: Recorded, states: int, finished: int, seed: int
) -> Iterator[Inquiry]:
    """Each worker takes its share of the same states; the parent is one of them."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()

    every = max(states // finished, 1) if finished else 0

    def part(number: int) -> Inquiry:
        share, most = (number, workers), states // len(PHASES)
        exploration = Exploration(recorded.device, FIRST, most=most, seed=seed, share=share)
        return _part(exploration, recorded, every)

    def work(number: int) -> None:
        queue.put(part(number))

    others = [
        context.Process(target=work, args=(number,), daemon=True) for number in range(1, workers)
    ]
    for one in others:
        one.start()
    yield part(0)
    for _ in others:
        yield queue.get()
    for one in others:
        one.join()


def _part(
    exploration: Exploration, recorded: Recorded | None, every: int, *, until: str | None = None
) -> Inquiry:
    """All of an exploration; of its states each `every`-th (none with 0) is gone on from."""
    done = Inquiry(operations=len(exploration.recording.operations))
    with place() as places, remembered():
        for number, state in enumerate(exploration.states()):
            moment = state.moment
            done.enter(state.key, moment.phase, state.kind)
            with places.start_only(state.root) as root:
                done.blame(state, judge(root, moment.promises))
            if until is not None and any(until in one.what for one in done.problems):
                break
            if every and recorded is not None and number % every == 0:
                done.finished[moment.phase] += 1
                with places.whole(state.root, owned=os.geteuid() == 0) as root:
                    done.blame(state, finish(root, recorded, moment.promises))
    done.moments = exploration.prefixes
    return done


def start_from(recorded: Recorded, inquiry: Inquiry, count: int, *, seed: int) -> None:
    """Start real processes from `count` states, `AT_ONCE` at a time; all of it is entered."""
    most = CHOICE * -(-count // len(PHASES))
    exploration = Exploration(recorded.device, FIRST, most=most, seed=seed + 1_000_000)
    found = list(exploration.states()) if count else []
    every = max(len(found) // max(count, 1), 1)
    states = found[every // 2 :: every][:count]  # all along the life
    wanted = sorted({offered_to(one.moment.promises) for one in states})
    with ExitStack() as stack:
        places = stack.enter_context(place())
        vendors = {version: recorded.vendor(version) for version in wanted}
        where = {version: stack.enter_context(serving(home)) for version, home in vendors.items()}

        def run(state: State) -> list[str]:
            version = offered_to(state.moment.promises)
            with places.whole(state.root, owned=os.geteuid() == 0) as root:
                return start(root, vendors[version], where[version], state.moment.promises)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            for state, problems in zip(states, pool.map(run, states), strict=True):
                inquiry.started[state.moment.phase] += 1
                inquiry.blame(state, problems)
