"""What the clock does to a rollout: advance, halt, complete, publish what lags behind.

Owns the order of a change: weigh, decide, write the row, publish the plan, note that it
is published. A cut after the row leaves a plan to publish, which the next tick
(or command) does; the row never follows the plan. One lock keeps the running
service and the command line apart. Neither it nor the database is held while
votes are weighed: a verdict is written only where what it rests on still stands.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from limpet.errors import Rejected
from limpet.vendor.home import Home, hold_lock
from limpet.vendor.repository import Repository
from limpet.vendor.store import Database, Outcomes, RolloutRow, Rollouts, RolloutState
from limpet.wire.release import Bounds
from limpet.wire.report import ReportKind
from limpet.wire.times import LAST as NEVER

from .decision import Advance, Complete, Decision, Halt, Stay, decide_step
from .evidence import Evidence, weigh
from .plan import make_plan

__all__ = ["Rollout", "changing", "evidence_of", "locked", "publish_plan", "signed_bounds", "tick"]

TRIES = 3
"""How often a tick weighs while others write. Then it lets them wait: whoever reports without end
must not keep a rollout from going on."""

_VOTES = (ReportKind.ATTEMPT, ReportKind.CONFIRMED, ReportKind.FELL_BACK, ReportKind.REFUSED)
"""Reports that may become a vote, or change one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The rollouts of one model of a vendor: the one that `home` has in view."""

    home: Home
    database: Database
    repository: Repository
    clock: Callable[[], datetime]  # UTC

    @property
    def model(self) -> str:
        """The model in view."""
        return self.home.model


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A decision, and the moment that it rests on."""

    row: RolloutRow
    newest_report: int
    decision: Decision
    now: datetime


def tick(rollout: Rollout) -> None:
    """Do what is due now: halt, advance or complete, and publish a plan that lags behind.

    Called once a second by the service. Goes one step at a time; safe to call from anywhere.
    """
    settled = any(_is_settled(rollout) for _ in range(TRIES))
    with locked(rollout):
        if not settled:
            with rollout.database.transaction() as connection:
                if (weighed := _weigh(rollout, connection)) is not None:
                    _apply(Rollouts(connection), weighed)
        publish_plan(rollout)


def _is_settled(rollout: Rollout) -> bool:
    """Weigh while others write, then write the verdict; False where it was overtaken meanwhile."""
    with rollout.database.reading() as connection:
        weighed = _weigh(rollout, connection)
    if weighed is None or isinstance(weighed.decision, Stay):
        return True
    with changing(rollout) as connection:
        if not _still_stands(connection, weighed):
            return False
        _apply(Rollouts(connection), weighed)
    return True


def _weigh(rollout: Rollout, connection: Connection) -> _Weighed | None:
    """What to do next by what is known at this moment; None where nothing runs."""
    row = Rollouts(connection).latest(rollout.model)
    if row is None or row.state is not RolloutState.RUNNING:
        return None
    newest, now = Outcomes(connection).newest_report(), rollout.clock()
    evidence = evidence_of(connection, row, now)
    decision = decide_step(row, evidence, signed_bounds(rollout, row), now=now)
    return _Weighed(row, newest, decision, now)


def _still_stands(connection: Connection, weighed: _Weighed) -> bool:
    """Whether the rollout is what was weighed and, unless this halts it, no vote came since.

    One vote more may be the failure that would have held a step. A halt waits for nobody: whoever
    reports without end would keep it from coming.
    """
    row = Rollouts(connection).latest(weighed.row.model)
    if row is None or (row.id, row.revision) != (weighed.row.id, weighed.row.revision):
        return False
    if isinstance(weighed.decision, Halt):
        return True
    outcomes, digest = Outcomes(connection), row.manifest_sha256
    return not outcomes.has_news(digest, _VOTES, since=weighed.newest_report)


def _apply(rollouts: Rollouts, weighed: _Weighed) -> None:
    row, now = weighed.row, weighed.now
    match weighed.decision:
        case Halt(reason, detail):
            text = f"{reason}: {detail}"
            row = rollouts.change(row, state=RolloutState.HALTED, reason=text)
            rollouts.log(row, "halted", now=now, detail=text)
        case Advance():
            row = rollouts.change(row, step=row.step + 1, step_at=now)
            what = f"step {row.step + 1} of {len(row.steps)}"
            rollouts.log(row, "advanced", now=now, detail=what)
        case Complete():
            row = rollouts.change(row, completed_at=now)
            rollouts.log(row, "completed", now=now)


def publish_plan(rollout: Rollout) -> None:
    """Publish the plan that the rows ask for, unless it is public. The caller holds the lock."""
    with rollout.database.reading() as connection:
        row = Rollouts(connection).latest(rollout.model)
        withdrawn = Rollouts(connection).withdrawn(rollout.model)
    plan = make_plan(rollout.model, row, withdrawn, now=rollout.clock())
    if row is None:  # a withdrawal before the first rollout: only the plan itself can tell
        if withdrawn and rollout.repository.plan().withdrawn != plan.withdrawn:
            rollout.repository.publish_plan(plan)
        return
    if row.published != row.revision:
        rollout.repository.publish_plan(plan)
        with rollout.database.transaction() as connection:
            Rollouts(connection).set_published(row)


def evidence_of(connection: Connection, row: RolloutRow, now: datetime) -> Evidence:
    """What the fleet has shown of the row's release so far."""
    outcomes = Outcomes(connection)
    return weigh(
        outcomes.attempts_at(row.manifest_sha256, since=row.counted_from),
        row,
        now=now,
        failures_elsewhere=outcomes.failures_elsewhere(row.manifest_sha256),
    )


def signed_bounds(rollout: Rollout, row: RolloutRow) -> Bounds:
    """The bounds that the row's release was signed with; of a revoked one, that nobody gets it."""
    try:
        return rollout.repository.find_release(row.version).manifest.bounds
    except Rejected as error:
        if error.reason != "unknown-release":
            raise
        return Bounds(not_before=NEVER, minimum_duration_seconds=0, largest_step_ppm=0)


@contextlib.contextmanager
def locked(rollout: Rollout) -> Iterator[None]:
    """Hold the rollouts' lock."""
    with hold_lock(rollout.home.online / "rollout.lock"):
        yield


@contextlib.contextmanager
def changing(rollout: Rollout) -> Iterator[Connection]:
    """One transaction under the rollouts' lock."""
    with locked(rollout), rollout.database.transaction() as connection:
        yield connection
