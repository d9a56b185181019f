"""What a fleet's reports are worth: one device one vote, and who may vote.

Owns the rules by which attempts become evidence. Pure.

1. A device counts once, with its latest result; a result that does not come within
   `silent_seconds` is a failure (a bricked device never reports), however often the device begins.
2. Only a device that the plan admits counts. Its place in the queue is a hash of the release and
   of its permanent identity: whoever has devices cannot choose that they are asked early.
3. A failure of a device that failed on k other releases, which the fleet completed, counts
   1 / (1 + k): its reports say more of the device than of the release.
4. What is left goes through a test that is told how many devices may lie
   (`limpet.vendor.rollout.health`).

A success never counts for more than one success: it takes dozens to outweigh one failure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from limpet.vendor.store import Attempt, Ring, RolloutRow
from limpet.wire.rollout import position

from .health import HealthTest, Verdict, take_outcome, verdict_before

__all__ = ["Evidence", "RingEvidence", "is_counted", "test_of", "weigh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RingEvidence:
    """What one admitted ring has shown."""

    name: str
    devices: int
    succeeded: int
    failed: int  # silent ones included


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the fleet has shown of the release; a device counts once."""

    succeeded: int
    failed: int  # reported failures
    silent: int  # no result within the interval: a bricked device never reports
    pending: int  # attempts that still have time
    rings: tuple[RingEvidence, ...]  # those admitted, in their order
    verdict: Verdict


def test_of(row: RolloutRow) -> HealthTest:
    """The health test that the rollout was started with."""
    rates = row.test
    return HealthTest(
        tolerable=rates.tolerable,
        intolerable=rates.intolerable,
        alpha=rates.alpha,
        beta=rates.beta,
        distrust=rates.distrust,
    )


def is_counted(row: RolloutRow, serial: str, named: frozenset[str]) -> bool:
    """Whether the device is asked at all (rule 2). `named`: the members of admitted rings."""
    return serial in named or position(row.manifest_sha256, serial) < row.admitted_ppm


def weigh(
    attempts: Iterable[Attempt],
    row: RolloutRow,
    *,
    now: datetime,
    failures_elsewhere: Mapping[str, int] | None = None,
) -> Evidence:
    """Count each device's latest attempt, and run the health test over them as they ended."""
    patience, elsewhere = timedelta(seconds=row.silent_seconds), failures_elsewhere or {}
    named = frozenset(serial for ring in row.admitted_rings for serial in ring.serials)
    ended: list[tuple[datetime, str, bool]] = []
    succeeded = failed = silent = pending = 0
    for attempt in attempts:
        if not is_counted(row, attempt.serial, named):
            continue
        outcome, at = attempt.succeeded, attempt.ended_at
        if outcome is None or at is None:
            at = attempt.started_at + patience
            if at > now:
                pending += 1
                continue
            outcome, silent = False, silent + 1
        elif outcome:
            succeeded += 1
        else:
            failed += 1
        ended.append((at, attempt.serial, outcome))
    ended.sort()
    verdict = verdict_before(test_of(row))
    for _, serial, outcome in ended:
        verdict = take_outcome(verdict, outcome, 1 / (1 + elsewhere.get(serial, 0)))
    results = {serial: outcome for _, serial, outcome in ended}
    return Evidence(
        succeeded=succeeded,
        failed=failed,
        silent=silent,
        pending=pending,
        rings=tuple(_ring(ring, results) for ring in row.admitted_rings),
        verdict=verdict,
    )


def _ring(ring: Ring, results: Mapping[str, bool]) -> RingEvidence:
    shown = [results[serial] for serial in ring.serials if serial in results]
    return RingEvidence(
        name=ring.name,
        devices=len(ring.serials),
        succeeded=sum(shown),
        failed=len(shown) - sum(shown),
    )
