"""What a fleet's reports are worth: one device one vote, and who may vote.

Owns the rules by which attempts become evidence. Pure.

1. A device counts once, with its latest result; a result that does not come within
   `silent_seconds` is a failure (a bricked device never reports), however often the device begins.
2. Only a device that the plan admits counts. Its place in the queue is a hash of the release and
   of its permanent identity: whoever has devices cannot choose that they are asked early. Where
   a share of the fleet reports, only devices of that sample count (another hash), and rings.
3. A failure of a device that failed on k other releases, which the fleet completed, counts
   1 / (1 + k): its reports say more of the device than of the release.
4. Votes are taken in the order in which attempts began. Those that end silent are known last: in
   the order of results, a step's few bricked devices would come all at once after its successes,
   which looks like a release that has turned bad.
5. What is left goes through a test that is told how many devices may lie
   (`limpet.vendor.rollout.health`).

A success never counts for more than one success: it takes dozens to outweigh one failure.
"""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from limpet.vendor.store import Attempt, RolloutRow
from limpet.wire.rollout import is_sampled, position

from .health import HealthTest, Verdict, take_outcome, verdict_before

__all__ = ["Evidence", "RingEvidence", "Tally", "is_counted", "test_of", "weigh"]

_STRIDE = 128


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
    digest = row.manifest_sha256
    if serial in named:
        return True
    return position(digest, serial) < row.admitted_ppm and is_sampled(
        digest, serial, row.report_ppm
    )


class Tally:
    """Votes as they come in: `weigh` and the simulation count with this, and nothing else does."""

    def __init__(self, row: RolloutRow) -> None:
        self.succeeded = self.failed = self.silent = self.pending = 0
        self._votes: list[tuple[datetime, str, bool, float]] = []
        self._marks = [verdict_before(test_of(row))]  # the verdict after each `_STRIDE` votes
        self._ring_of = {serial: ring.name for ring in row.rings for serial in ring.serials}
        self._shown = {ring.name: (0, 0) for ring in row.rings}

    def end(
        self,
        serial: str,
        succeeded: bool,
        *,
        begun: datetime,
        silent: bool = False,
        weight: float = 1.0,
    ) -> None:
        """One device's result, of the attempt that began then; never twice for a device."""
        if succeeded:
            self.succeeded += 1
        elif silent:
            self.silent += 1
        else:
            self.failed += 1
        vote = (begun, serial, succeeded, weight)
        place = bisect.bisect_left(self._votes, vote)
        self._votes.insert(place, vote)
        del self._marks[place // _STRIDE + 1 :]
        if (ring := self._ring_of.get(serial)) is not None:
            good, bad = self._shown[ring]
            self._shown[ring] = (good + succeeded, bad + (not succeeded))

    @property
    def verdict(self) -> Verdict:
        """The health test's, over all votes in the order in which attempts began."""
        known = (len(self._marks) - 1) * _STRIDE
        verdict = self._marks[-1]
        for number, (_, _, succeeded, weight) in enumerate(self._votes[known:], known + 1):
            verdict = take_outcome(verdict, succeeded, weight)
            if number % _STRIDE == 0:
                self._marks.append(verdict)
        return verdict

    def evidence(self, row: RolloutRow) -> Evidence:
        """All of it so far, with the rings that `row` admits."""
        rings = []
        for ring in row.admitted_rings:
            good, bad = self._shown[ring.name]
            rings.append(
                RingEvidence(name=ring.name, devices=len(ring.serials), succeeded=good, failed=bad)
            )
        return Evidence(
            succeeded=self.succeeded,
            failed=self.failed,
            silent=self.silent,
            pending=self.pending,
            rings=tuple(rings),
            verdict=self.verdict,
        )


def weigh(
    attempts: Iterable[Attempt],
    row: RolloutRow,
    *,
    now: datetime,
    failures_elsewhere: Mapping[str, int] | None = None,
) -> Evidence:
    """Count each device's latest attempt, and run the health test over them as they began."""
    patience, elsewhere = timedelta(seconds=row.silent_seconds), failures_elsewhere or {}
    named = frozenset(serial for ring in row.admitted_rings for serial in ring.serials)
    tally = Tally(row)
    for attempt in sorted(attempts, key=lambda one: (one.started_at, one.serial)):
        if not is_counted(row, attempt.serial, named):
            continue
        silent = attempt.succeeded is None
        if silent and attempt.started_at + patience > now:
            tally.pending += 1
            continue
        tally.end(
            attempt.serial,
            bool(attempt.succeeded),
            begun=attempt.started_at,
            silent=silent,
            weight=1 / (1 + elsewhere.get(attempt.serial, 0)),
        )
    return tally.evidence(row)
