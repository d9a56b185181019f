"""Runs checks side by side, each within its time, and never believes a broken one.

Owns threads, time bounds and order. Every exception, time-out or missing input
of a check becomes `could not determine` with the reason (sslyze's habit: "could
not check" is not a finding); none becomes a pass.
"""

import queue
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from limpet.audit.check import Check, Stage
from limpet.audit.finding import Finding, undetermined
from limpet.audit.report import Entry, Report
from limpet.audit.target import Target
from limpet.errors import LimpetError

__all__ = ["TOTAL_SECONDS", "WORKERS", "Described", "audit"]

WORKERS = 6
"""Quiet checks at a time; most of them wait for the network or share a measurement."""

TOTAL_SECONDS = 120.0
"""Bound on a whole audit; what has not begun by then could not be determined."""


class Described(Protocol):
    """What the report repeats about a statement (`limpet.requirements` has it)."""

    @property
    def level(self) -> str:
        """The key word."""

    @property
    def section(self) -> str:
        """The section of the draft."""

    @property
    def asks(self) -> str:
        """The statement in one sentence."""


@dataclass(frozen=True, slots=True)
class _Result:
    check: Check
    finding: Finding
    started: datetime
    seconds: float


def audit(
    checks: Iterable[Check],
    target: Target,
    *,
    statements: Mapping[str, Described],
    on_finding: Callable[[Check, Finding], None] = lambda check, finding: None,
    workers: int = WORKERS,
    total_seconds: float = TOTAL_SECONDS,
) -> Report:
    """Run `checks` against `target`, stage after stage; the report is in the order of `checks`."""
    checks = tuple(checks)
    started, begun = target.now(), time.monotonic()
    results: dict[str, _Result] = {}
    for stage in Stage:
        chosen = [check for check in checks if check.stage is stage]
        side_by_side = workers if stage is Stage.QUIET else 1
        for result in _run_stage(chosen, target, side_by_side, begun + total_seconds):
            results[result.check.statement] = result
            on_finding(result.check, result.finding)
    return Report(
        target=str(target.device or target.product_dir or target.vendor or "nothing"),
        started=started,
        seconds=round(time.monotonic() - begun, 3),
        entries=tuple(_entry(results[c.statement], statements[c.statement]) for c in checks),
    )


def _run_stage(
    checks: list[Check], target: Target, workers: int, deadline: float
) -> Iterable[_Result]:
    """Each check in a thread of its own; one that overruns its bound is given up."""
    finished: queue.SimpleQueue[_Result] = queue.SimpleQueue()
    waiting = deque(checks)
    running: dict[str, tuple[Check, datetime, float]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            check = waiting.popleft()
            running[check.statement] = (check, target.now(), time.monotonic())
            threading.Thread(
                target=lambda c=check: finished.put(_run_one(c, target)),
                name=f"audit-{check.statement}",
                daemon=True,  # a stuck one must not keep the command from ending
            ).start()
        now = time.monotonic()
        ends = [min(start + check.seconds, deadline) for check, _, start in running.values()]
        try:
            result = finished.get(timeout=max(min(ends) - now, 0.001))
        except queue.Empty:
            for name in [n for n, (c, _, s) in running.items() if _is_over(c, s, deadline)]:
                check, at, start = running.pop(name)
                spent = time.monotonic() - start
                reason = f"took longer than its {check.seconds:g} s"
                yield _Result(check, undetermined(reason), at, spent)
            continue
        if running.pop(result.check.statement, None) is not None:  # else it was given up before
            yield result


def _is_over(check: Check, start: float, deadline: float) -> bool:
    return time.monotonic() >= min(start + check.seconds, deadline)


def _run_one(check: Check, target: Target) -> _Result:
    started, begun = target.now(), time.monotonic()
    missing = [need.value for need in check.needs if need.missing_from(target)]
    if missing:
        finding = undetermined(f"not looked at: no {' and no '.join(missing)} given")
    else:
        finding = _guarded(check, target)
    return _Result(check, finding, started, time.monotonic() - begun)


def _guarded(check: Check, target: Target) -> Finding:
    try:
        return check.run(target)
    except LimpetError as error:
        return undetermined(str(error))
    except TimeoutError:
        return undetermined("no answer in time")
    except OSError as error:
        return undetermined((error.strerror or str(error) or type(error).__name__).lower())
    except Exception as error:  # whatever a check does wrong, it has not shown anything
        # Not its message: nobody foresaw what may stand in it.
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        return undetermined(f"the check broke: {type(error).__name__} at {place}")


def _entry(result: _Result, statement: Described) -> Entry:
    return Entry(
        statement=result.check.statement,
        level=statement.level,
        section=statement.section,
        asks=statement.asks,
        verdict=result.finding.verdict,
        evidence=result.finding.evidence,
        means=tuple(means.value for means in result.check.means),
        citation=result.check.citation,
        started=result.started,
        seconds=round(result.seconds, 3),
    )
