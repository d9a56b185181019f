"""Attempts at releases that are history: counted once, then forgotten bit by bit.

Owns which attempts nobody needs any more. Never touches one at a release that a model's plan is
about, however old and in whatever state: its rollout may be resumed, and then they are votes.

What is left of the others: the numbers, in the rollout's history; and for years who failed, because
a device that failed elsewhere has less of a vote (`limpet.vendor.rollout.evidence`).
"""

from datetime import datetime, timedelta

from limpet.vendor.store import Ages, Database, Outcomes, Rollouts

__all__ = ["BATCH", "FAILURES_KEPT", "KEPT", "forget_attempts"]

KEPT = timedelta(days=90)
"""How long an attempt at a release is kept that another one has replaced."""

FAILURES_KEPT = timedelta(days=5 * 365)
"""How long a failure lessens a device's vote."""

BATCH = 1000
"""Rows in one transaction: some ten milliseconds in which others wait."""

COUNTED = "counted"


def forget_attempts(database: Database, *, now: datetime, batch: int = BATCH) -> bool:
    """Forget some attempts; whether there were any. Call it again until there are none.

    Each call is one short transaction, after a look that holds up nobody: a cut between two calls,
    or within one, leaves some for later.
    """
    ages = Ages(before=now - KEPT, failed_before=now - FAILURES_KEPT)
    with database.reading() as connection:
        rollouts, outcomes = Rollouts(connection), Outcomes(connection)
        for row in rollouts.former():
            if outcomes.has_old_attempts(row.manifest_sha256, ages):
                break
        else:
            return False
        counted = any(event.event == COUNTED for event in rollouts.history(row))
        counts = {} if counted else outcomes.count_attempts(row.manifest_sha256)
    digest = row.manifest_sha256
    with database.transaction() as connection:
        rollouts = Rollouts(connection)
        if digest in (former.manifest_sha256 for former in rollouts.former()):
            if not counted:
                rollouts.log(row, COUNTED, now=now, detail=_told(counts))
            Outcomes(connection).forget_attempts(digest, ages, limit=batch)
    return True


def _told(counts: dict[bool | None, int]) -> str:
    succeeded, failed, silent = (counts.get(result, 0) for result in (True, False, None))
    return f"{succeeded} succeeded, {failed} failed, {silent} had no result"
